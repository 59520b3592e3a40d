/**
 * Clips from outside on this machine's disk, in one folder, each for as long as a scope is open, however that ends. What a
 * killed process left is swept when the service starts and every hour.
 */
import { Clock, Context, Effect, Layer, Schedule, type Scope, Stream } from "effect"
import { createHash, randomUUID } from "node:crypto"
import * as fs from "node:fs/promises"
import { join } from "node:path"
import { StorageUnavailable } from "../domain/Failure.ts"
import type { ClipFile } from "./ClipFile.ts"

/** A file that is older is a dead process's. */
const abandonedMillis = 3_600_000

export class ClipFiles extends Context.Service<ClipFiles, {
  /** Writes `content`, whose length its maker bounds, as it comes. `field`: what the caller named it. */
  readonly keep: <E, R>(
    field: string,
    content: Stream.Stream<Uint8Array, E, R>
  ) => Effect.Effect<ClipFile, E | StorageUnavailable, R | Scope.Scope>
}>()("scaispeak/ClipFiles") {
  static readonly layer = (options: { readonly folder: string }) => Layer.effect(ClipFiles, make(options.folder))
}

const make = Effect.fnUntraced(function*(folder: string) {
  yield* attempt(() => fs.mkdir(folder, { recursive: true })).pipe(Effect.ignore)
  yield* sweep(folder).pipe(Effect.repeat(Schedule.spaced("1 hour")), Effect.forkScoped)

  return ClipFiles.of({
    keep: Effect.fnUntraced(function*(field, content) {
      const path = join(folder, randomUUID())
      yield* Effect.addFinalizer(() => Effect.promise(() => fs.rm(path, { force: true }).catch(() => {})))
      const hash = createHash("sha256")
      let bytes = 0
      yield* Effect.acquireUseRelease(
        attempt(() => fs.open(path, "wx", 0o600)),
        (file) =>
          Stream.runForEach(content, (chunk) => {
            hash.update(chunk)
            bytes += chunk.length
            return attempt(() => file.writeFile(chunk))
          }),
        (file) => Effect.promise(() => file.close().catch(() => {}))
      )
      return { field, path, bytes, sha256: hash.digest("hex") }
    })
  })
})

const attempt = <A>(run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (cause) => new StorageUnavailable({ store: "objects", cause }) })

const sweep = Effect.fnUntraced(function*(folder: string) {
  const now = yield* Clock.currentTimeMillis
  yield* Effect.promise(async () => {
    for (const name of await fs.readdir(folder).catch(() => [])) {
      const path = join(folder, name)
      const stat = await fs.stat(path).catch(() => undefined)
      if (stat !== undefined && now - stat.mtimeMs > abandonedMillis) await fs.rm(path, { force: true }).catch(() => {})
    }
  })
})
