/**
 * Objects as files below one folder.
 *
 * A put writes a file under `.tmp`, syncs it to disk, renames it to its key and syncs the folder: when it has succeeded
 * the object survives a power cut, and a crash at any moment leaves the old object or the new one.
 */
import { Clock, Effect, Exit, Layer, Option, Stream } from "effect"
import { createHash, randomUUID } from "node:crypto"
import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import type { FileHandle } from "node:fs/promises"
import { dirname, join } from "node:path"
import { StorageUnavailable } from "../../domain/Failure.ts"
import { ObjectNotFound, ObjectStore } from "../ObjectStore.ts"
import type { ObjectFacts, ObjectRange } from "../ObjectStore.ts"
import { clearOlder, isMissing, moveTo, removeEmptyFolders, removeEmptyParents, walk } from "./Files.ts"
import { checkKey, checkPrefix } from "./Keys.ts"
import * as Trailer from "./Trailer.ts"

const healthMillisMax = 1000
const readBytes = 64 * 1024
/** A draft that nobody has written to for so long is a dead process's; it goes when a store is opened. */
const abandonedMillis = 3_600_000

const unavailable = (cause: unknown) => new StorageUnavailable({ store: "objects", cause })

const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

/** A folder of this machine, made when it is first written to. Several processes may share it. */
export const layer = (options: { readonly folder: string }): Layer.Layer<ObjectStore> =>
  Layer.effect(ObjectStore, Effect.suspend(() => make(options.folder)))

const make = Effect.fnUntraced(function*(root: string) {
  const drafts = join(root, ".tmp")
  const pathOf = (key: string) => Effect.sync(() => join(root, checkKey(key)))
  const folderOf = (prefix: string) => Effect.sync(() => checkPrefix(prefix).slice(0, -1))
  const now = yield* Clock.currentTimeMillis
  yield* Effect.ignore(attempt(() => clearOlder(drafts, now - abandonedMillis)))

  const open = Effect.fnUntraced(function*(key: string) {
    const path = yield* pathOf(key)
    return yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => Trailer.open(path),
        catch: (cause) => isMissing(cause) ? new ObjectNotFound({ key }) : unavailable(cause)
      }),
      // Waits for a read that is under way.
      ({ handle }) => Effect.promise(() => handle.close().catch(() => undefined))
    )
  })

  const draft = Effect.acquireRelease(
    attempt(async () => {
      await fs.mkdir(drafts, { recursive: true })
      const path = join(drafts, randomUUID())
      return { path, handle: await fs.open(path, "wx") }
    }),
    ({ handle, path }, exit) =>
      Effect.promise(async () => {
        await handle.close().catch(() => undefined)
        if (Exit.isFailure(exit)) await fs.rm(path, { force: true }).catch(() => undefined)
      })
  )

  return {
    put: Effect.fnUntraced(function*(key, body, { contentType }) {
      const path = yield* pathOf(key)
      const file = yield* draft
      const hash = createHash("sha256")
      let size = 0
      const append = (bytes: Uint8Array) => {
        hash.update(bytes)
        size += bytes.length
        return attempt(() => file.handle.writeFile(bytes))
      }
      yield* body instanceof Uint8Array ? append(body) : Stream.runForEach(body, append)
      const facts: ObjectFacts = { size, contentType, etag: `"${hash.digest("hex")}"` }
      yield* attempt(() => file.handle.writeFile(Trailer.encode(facts)).then(() => file.handle.datasync()))
      yield* Effect.uninterruptible(attempt(() => moveTo(file.path, path)))
      return facts
    }, Effect.scoped),

    get: (key: string, range?: ObjectRange) =>
      Effect.map(open(key), ({ facts, handle }) => {
        const from = Math.min(range?.offset ?? 0, facts.size)
        return { ...facts, body: bytesOf(handle, from, Math.min(from + (range?.length ?? facts.size), facts.size)) }
      }),

    read: (key: string) =>
      Effect.scoped(Effect.flatMap(open(key), ({ facts, handle }) => attempt(() => readAll(handle, facts.size)))),

    head: (key: string) => Effect.scoped(Effect.map(open(key), ({ facts }) => facts)),

    remove: (key: string) =>
      Effect.flatMap(pathOf(key), (path) =>
        attempt(async () => {
          await fs.unlink(path).catch((cause) => isMissing(cause) ? undefined : Promise.reject(cause))
          await removeEmptyParents(root, dirname(path))
        })),

    removeAll: (prefix: string) =>
      Effect.flatMap(folderOf(prefix), (folder) =>
        attempt(async () => {
          let count = 0
          for await (const { key } of walk(root, folder)) {
            await fs.rm(join(root, key), { force: true })
            count++
          }
          await removeEmptyFolders(join(root, folder))
          await removeEmptyParents(root, dirname(join(root, folder)))
          return count
        })),

    list: (prefix: string) =>
      Stream.unwrap(
        Effect.map(folderOf(prefix), (folder) => Stream.fromAsyncIterable(walk(root, folder), unavailable))
      ),

    health: attempt(async () => {
      await fs.mkdir(root, { recursive: true })
      await fs.access(root, constants.R_OK | constants.W_OK)
    }).pipe(
      Effect.timeoutOrElse({
        duration: healthMillisMax,
        orElse: () => Effect.fail(unavailable(new Error(`no answer in ${healthMillisMax} ms`)))
      })
    )
  } satisfies ObjectStore["Service"]
})

/** Reads by position, so that what was opened is what is read whatever becomes of the name. */
const bytesOf = (handle: FileHandle, from: number, to: number): Stream.Stream<Uint8Array, StorageUnavailable> =>
  Stream.paginate(from, (at) =>
    at >= to ? Effect.succeed([[], Option.none<number>()]) : attempt(async () => {
      const chunk = new Uint8Array(Math.min(readBytes, to - at))
      const { bytesRead } = await handle.read(chunk, 0, chunk.length, at)
      if (bytesRead === 0) throw new Error("the file has shrunk")
      return [[chunk.subarray(0, bytesRead)], Option.some(at + bytesRead)]
    }))

const readAll = async (handle: FileHandle, size: number): Promise<Uint8Array> => {
  const bytes = new Uint8Array(size)
  for (let at = 0; at < size;) {
    const { bytesRead } = await handle.read(bytes, at, size - at, at)
    if (bytesRead === 0) throw new Error("the file has shrunk")
    at += bytesRead
  }
  return bytes
}
