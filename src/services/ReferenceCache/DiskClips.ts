/**
 * Normalised clips as files of one folder, for the next process: `<sha256 of the recording>-<sha256 of the clip>.pcm`.
 *
 * A file appears whole or not at all, and what is read is held against the hash in its name, so that no torn, cut or
 * changed file is ever spoken from: it goes, and the clip is fetched again. For that reason nothing waits for the disk to
 * sync. The files stay within a bound of bytes; those read longest ago make room, by the time of change that every read
 * sets. Processes that share a folder do each other no harm; each counts what it knows.
 *
 * The folder is a help and no more: when it fails, that is logged and the clip counts as not there.
 */
import { Clock, Effect } from "effect"
import { createHash, randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { StorageUnavailable } from "../../domain/Failure.ts"
import { ByteLru } from "../ByteLru.ts"

/** A clip as engines take it. Shared by all who have it: never written to. */
export interface Clip {
  /** s16le, 16 kHz, mono. */
  readonly pcm: Uint8Array
  /** Of `pcm`, lower-case hex. */
  readonly sha256: string
}

/** `recording` is the hash of the stored recording, lower-case hex. */
export interface DiskClips {
  readonly read: (recording: string) => Effect.Effect<Clip | undefined>
  readonly write: (recording: string, clip: Clip) => Effect.Effect<void>
  /** Afterwards no file of that recording is there, whoever wrote it. */
  readonly remove: (recording: string) => Effect.Effect<void, StorageUnavailable>
  /** Recordings that there is a file of, as far as this process knows. */
  readonly held: () => ReadonlyArray<string>
  readonly entries: () => number
  readonly bytes: () => number
}

const draftPrefix = ".draft-"
const fileName = /^(?<recording>[0-9a-f]{64})-(?<clip>[0-9a-f]{64})\.pcm$/u

/** Sweeps what a killed process left half written, and takes up what it left whole. */
export const make = Effect.fnUntraced(function*(options: { readonly folder: string; readonly bytesMax: number }) {
  const { bytesMax, folder } = options
  /** Names of files, by recording. */
  const files = new ByteLru<string>(bytesMax)
  const pathOf = (name: string) => join(folder, name)
  const discard = (names: ReadonlyArray<string>) =>
    Promise.all(names.map((name) => fs.rm(pathOf(name), { force: true })))

  yield* attempt("opened", async () => {
    await fs.mkdir(folder, { recursive: true })
    const names = await fs.readdir(folder)
    await discard(names.filter((name) => name.startsWith(draftPrefix)))
    const found = await Promise.all(
      names.filter((name) => fileName.test(name)).map(async (name) => {
        const { mtimeMs, size } = await fs.stat(pathOf(name))
        return { name, mtimeMs, size }
      })
    )
    for (const { name, size } of found.sort((a, b) => a.mtimeMs - b.mtimeMs)) {
      await discard(files.set(recordingOf(name), name, size))
    }
  })

  return {
    read: Effect.fnUntraced(function*(recording) {
      const name = files.get(recording)
      if (name === undefined) return undefined
      const usedAt = (yield* Clock.currentTimeMillis) / 1000
      return yield* attempt("read", async () => {
        const pcm = await fs.readFile(pathOf(name)).catch(unlessMissing)
        const sha256 = fileName.exec(name)!.groups!["clip"]!
        if (pcm === undefined || createHash("sha256").update(pcm).digest("hex") !== sha256) {
          files.delete(recording)
          await discard([name])
          if (pcm !== undefined) throw new Error(`${name} does not hold what its name says`)
          return undefined
        }
        await fs.utimes(pathOf(name), usedAt, usedAt).catch(unlessMissing)
        return { pcm, sha256 }
      })
    }),

    write: Effect.fnUntraced(function*(recording, { pcm, sha256 }) {
      if (pcm.length > bytesMax) return
      const usedAt = (yield* Clock.currentTimeMillis) / 1000
      // What has begun ends before an interruption does, so that no file appears after its removal.
      yield* Effect.uninterruptible(attempt("written", async () => {
        const draft = pathOf(`${draftPrefix}${randomUUID()}`)
        const name = `${recording}-${sha256}.pcm`
        try {
          await fs.writeFile(draft, pcm)
          await fs.utimes(draft, usedAt, usedAt)
          await fs.rename(draft, pathOf(name))
        } catch (cause) {
          await fs.rm(draft, { force: true })
          throw cause
        }
        const gone = files.set(recording, name, pcm.length)
        await discard(gone.filter((other) => other !== name))
      }))
    }),

    remove: (recording) =>
      Effect.tryPromise({
        try: async () => {
          files.delete(recording)
          const names = (await fs.readdir(folder).catch(unlessMissing)) ?? []
          await discard(names.filter((name) => fileName.test(name) && recordingOf(name) === recording))
        },
        catch: (cause) => new StorageUnavailable({ store: "objects", cause })
      }).pipe(Effect.uninterruptible),

    held: () => files.keys(),
    entries: () => files.size,
    bytes: () => files.bytes
  } satisfies DiskClips
})

const attempt = <A>(what: string, run: () => Promise<A>): Effect.Effect<A | undefined> =>
  Effect.tryPromise(run).pipe(
    Effect.catch((error) =>
      Effect.as(Effect.logWarning("reference cache on disk fails", { what, cause: error.cause }), undefined)
    )
  )

const recordingOf = (name: string): string => fileName.exec(name)!.groups!["recording"]!

/** Another process may have made room. */
const unlessMissing = (cause: NodeJS.ErrnoException): undefined => {
  if (cause.code !== "ENOENT") throw cause
}
