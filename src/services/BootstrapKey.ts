/** The first key of an install: given by configuration, or made once and kept in the data folder for its owner alone. */
import { Effect, Redacted } from "effect"
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

/** The key to greet with; undefined when other keys exist and the bootstrap key opens nothing any more. */
export const ensure = Effect.fn("BootstrapKey.ensure")(function*(options: {
  readonly configured: Redacted.Redacted | undefined
  readonly file: string
}) {
  const key = options.configured ?? (yield* kept(options.file))
  const state = yield* (yield* ApiKeys).ensureBootstrap(key)
  return state === "disabled" ? undefined : key
})
