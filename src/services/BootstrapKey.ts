/** The first key of an install: given by configuration, or made once and kept in the data folder for its owner alone. */
import { Effect, Redacted, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import { ApiKeys } from "./ApiKeys.ts"

const absent = (error: unknown) => (error as NodeJS.ErrnoException).code === "ENOENT"

/** The key kept in `file`, made there if there is none. A file that cannot be read or written is a defect of the install. */
const kept = (file: string) =>
  Effect.promise(async () => {
    try {
      return Redacted.make((await readFile(file, "utf8")).trim())
    } catch (error) {
      if (!absent(error)) throw error
    }
    const key = `sgk_${randomBytes(32).toString("base64url")}`
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, `${key}\n`, { mode: 0o600, flag: "wx" })
    await chmod(file, 0o600)
    return Redacted.make(key)
  })

/** From 200 ms, doubling to 2 s, without end. */
const again = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("2 seconds")])

/**
 * The key to greet with; undefined when other keys exist and the bootstrap key opens nothing any more. A database that is
 * away is waited for: without its first key nobody could call.
 */
export const ensure = Effect.fn("BootstrapKey.ensure")(function*(options: {
  readonly configured: Redacted.Redacted | undefined
  readonly file: string
}) {
  const key = options.configured ?? (yield* kept(options.file))
  const { ensureBootstrap } = yield* ApiKeys
  const state = yield* Effect.retry(ensureBootstrap(key), again)
  return state === "disabled" ? undefined : key
})
