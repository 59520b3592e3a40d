/** One suite over both object stores; real files, real threads; the clock is the test's. */
import { describe, it, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Logger, Metric, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { setTimeout as sleep } from "node:timers/promises"
import { StorageUnavailable } from "../../src/domain/Failure.ts"
import type { VoiceReference } from "../../src/domain/Voice.ts"
import { ClipNormaliser } from "../../src/services/ClipNormaliser.ts"
import { normalise } from "../../src/services/ClipNormaliser/Normalise.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import * as Filesystem from "../../src/services/ObjectStore/Filesystem.ts"
import * as S3 from "../../src/services/ObjectStore/S3.ts"
import { ReferenceCache } from "../../src/services/ReferenceCache.ts"
import * as DiskClips from "../../src/services/ReferenceCache/DiskClips.ts"
import { s3Options } from "../servers/inject.ts"
import { wavOf } from "./ClipNormaliser/wav.ts"

const temporary = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-references-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const stores = {
  folder: Layer.unwrap(Effect.map(temporary, (folder) => Filesystem.layer({ folder }))),
  S3: Layer.unwrap(Effect.map(Effect.promise(s3Options), (options) =>
    S3.layer({
      ...options,
      accessKeyId: Redacted.make(options.accessKeyId),
      secretAccessKey: Redacted.make(options.secretAccessKey)
    })))
}

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const missing = { sha256: "0".repeat(64), durationMs: 1000, objectKey: "clips/missing", transcript: null }

/** A recording of its own, 0.1 s, stored; what `pcm` must come of it. */
let recordings = 0
const record = Effect.fnUntraced(function*(options: { sampleRate?: number; seconds?: number } = {}) {
  const { sampleRate = 16_000, seconds = 0.1 } = options
  const seed = ++recordings
  const signal = Float64Array.from({ length: sampleRate * seconds }, (_, n) => 0.5 * Math.sin(n * seed * 1e-3))
  const file = wavOf({ coding: "s16", sampleRate, channels: [signal] })
  const objectKey = `clips/${seed}`
  yield* (yield* ObjectStore).put(objectKey, file, { contentType: "audio/wav" })
  const reference: VoiceReference = { sha256: hashOf(file), durationMs: seconds * 1000, objectKey, transcript: null }
  const made = normalise(file)
  assert.ok(made._tag === "Success")
  return { reference, file, clip: { pcm: made.success, sha256: hashOf(made.success) } }
})

type Five = readonly [VoiceReference, VoiceReference, VoiceReference, VoiceReference, VoiceReference]

interface Watched {
  /** Objects opened, in order. */
  readonly opened: Array<string>
  /** Objects given back. */
  readonly closed: Array<string>
  /** What every get does first. */
  before: Effect.Effect<void, StorageUnavailable>
}

/** A cache of its own over the suite's store, whose use is watched. */
const makeCache = Effect.fnUntraced(function*(
  options: { folder?: string; memoryBytes?: number; diskBytes?: number } = {}
) {
  const store = yield* ObjectStore
  const folder = options.folder ?? join(yield* temporary, "cache", "references")
  const watched: Watched = { opened: [], closed: [], before: Effect.void }
  const Watching = Layer.succeed(
    ObjectStore,
    ObjectStore.of({
      ...store,
      get: (key, range) =>
        Effect.acquireRelease(
          Effect.sync(() => watched.opened.push(key)),
          () => Effect.sync(() => watched.closed.push(key))
        ).pipe(Effect.andThen(watched.before), Effect.andThen(store.get(key, range)))
    })
  )
  const context = yield* Layer.build(
    ReferenceCache.layer({ folder, memoryBytes: 1e6, diskBytes: 1e6, ...options }).pipe(
      Layer.provide([Watching, ClipNormaliser.layer]),
      Layer.provide(Logger.layer([]))
    )
  )
  return { ...Context.get(context, ReferenceCache), folder, watched }
})

const files = (folder: string) => Effect.promise(() => readdir(folder))
const counted = Effect.map(Metric.snapshot, (states) => {
  const counts: Record<string, unknown> = {}
  for (const { attributes, id, state } of states) {
    if (id === "scaispeak_reference_cache_total") counts[String(attributes?.["result"])] = (state as any).count
  }
  return counts
})

for (const [name, store] of Object.entries(stores)) {
  layer(store, { timeout: "30 seconds" })(`ReferenceCache over ${name}`, (it) => {
    it.effect("brings a clip from the store once, then from memory, then from disk", () =>
      Effect.gen(function*() {
        for (const sampleRate of [16_000, 48_000]) {
          const { clip, reference } = yield* record({ sampleRate })
          const first = yield* makeCache()
          for (let n = 0; n < 3; n++) assert.deepEqual(yield* first.get(reference), clip)
          assert.deepEqual(first.watched.opened, [reference.objectKey])
          assert.deepEqual(first.stats(), {
            memoryHits: 2,
            diskHits: 0,
            misses: 1,
            entries: { memory: 1, disk: 1 },
            bytes: { memory: 3200, disk: 3200 }
          })
          assert.deepEqual(yield* files(first.folder), [`${reference.sha256}-${clip.sha256}.pcm`])

          const second = yield* makeCache({ folder: first.folder })
          for (let n = 0; n < 2; n++) {
            const { pcm, sha256 } = yield* second.get(reference)
            assert.deepEqual([new Uint8Array(pcm), sha256], [clip.pcm, clip.sha256])
          }
          assert.deepEqual(second.watched.opened, [])
          const { diskHits, memoryHits, misses } = second.stats()
          assert.deepEqual({ diskHits, memoryHits, misses }, { diskHits: 1, memoryHits: 1, misses: 0 })
        }
      }))

    it.effect("counts where clips come from", () =>
      Effect.gen(function*() {
        const before = yield* counted
        const { reference } = yield* record()
        const first = yield* makeCache()
        yield* first.get(reference)
        yield* first.get(reference)
        yield* (yield* makeCache({ folder: first.folder })).get(reference)
        yield* Effect.flip(first.get(missing))
        const after = yield* counted
        const more = (result: string) => Number(after[result] ?? 0) - Number(before[result] ?? 0)
        assert.deepEqual([more("memory"), more("disk"), more("store")], [1, 1, 2])
      }))

    it.effect("shares one fetch among all who ask at once", () =>
      Effect.gen(function*() {
        const { clip, reference } = yield* record()
        const cache = yield* makeCache()
        const clips = yield* Effect.all(Array.from({ length: 50 }, () => cache.get(reference)), {
          concurrency: "unbounded"
        })
        assert.ok(clips.every((other) => other === clips[0]))
        assert.deepEqual(clips[0], clip)
        assert.equal(cache.watched.opened.length, 1)
      }))

    it.effect("goes on for the others when one stops waiting, and stops when all have", () =>
      Effect.gen(function*() {
        const { clip, reference } = yield* record()
        const { get, watched } = yield* makeCache()
        const gate = yield* Deferred.make<void>()
        const reached = yield* Deferred.make<void>()
        watched.before = Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(gate))
        const ask = Effect.forkChild(get(reference), { startImmediately: true })

        const all = yield* Effect.all([ask, ask, ask])
        yield* Deferred.await(reached)
        yield* Fiber.interruptAll(all)
        assert.deepEqual([watched.opened.length, watched.closed.length], [1, 1], "an abandoned fetch stops")

        const [gone, stays] = yield* Effect.all([ask, ask])
        yield* Effect.yieldNow
        yield* Fiber.interrupt(gone)
        yield* Deferred.succeed(gate, undefined)
        assert.deepEqual(yield* Fiber.join(stays), clip)
        assert.equal(watched.opened.length, 2)
      }))

    it.effect("refuses what is not the recording that the voice names, and keeps nothing of it", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        const { file, reference } = yield* record()
        const cache = yield* makeCache()
        const other = Buffer.from(file)
        other[100]! ^= 1
        const put = (bytes: Uint8Array) => objects.put(reference.objectKey, bytes, { contentType: "audio/wav" })
        const noise = Buffer.from("no sound at all")
        const cases: ReadonlyArray<readonly [Effect.Effect<unknown, StorageUnavailable>, VoiceReference, RegExp]> = [
          [objects.remove(reference.objectKey), reference, /is missing\.$/u],
          [put(other), reference, /not the one that was recorded\.$/u],
          [put(file.subarray(0, 1000)), reference, /not the one that was recorded\.$/u],
          [put(noise), { ...reference, sha256: hashOf(noise) }, /cannot be used: it is not a WAV file\.$/u],
          [put(new Uint8Array(67_108_865)), reference, /cannot be used: it is larger than 67108864 bytes\.$/u]
        ]
        for (const [change, asked, reason] of cases) {
          yield* change
          const failure = yield* Effect.flip(cache.get(asked))
          assert.ok(failure._tag === "VoiceNotReady")
          assert.match(failure.reason, reason)
        }
        assert.deepEqual(cache.stats().entries, { memory: 0, disk: 0 })
        yield* put(file)
        yield* cache.get(reference)
      }))

    it.effect("says that the store is away, while it speaks from what it has", () =>
      Effect.gen(function*() {
        const [known, unknown] = [yield* record(), yield* record()]
        const { get, watched } = yield* makeCache()
        yield* get(known.reference)
        watched.before = Effect.fail(new StorageUnavailable({ store: "objects", cause: new Error("down") }))
        assert.deepEqual(yield* get(known.reference), known.clip)
        assert.equal((yield* Effect.flip(get(unknown.reference)))._tag, "StorageUnavailable")
        watched.before = Effect.void
        assert.deepEqual(yield* get(unknown.reference), unknown.clip)
      }))

    it.effect("drops a clip from memory, disk and a fetch under way", () =>
      Effect.gen(function*() {
        const { clip, reference } = yield* record()
        const cache = yield* makeCache()
        yield* cache.get(reference)
        yield* cache.drop(reference.sha256)
        assert.deepEqual(cache.stats().bytes, { memory: 0, disk: 0 })
        assert.deepEqual(yield* files(cache.folder), [])
        yield* cache.drop(reference.sha256)

        const reached = yield* Deferred.make<void>()
        cache.watched.before = Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
        const asking = yield* Effect.forkChild(Effect.flip(cache.get(reference)))
        yield* Deferred.await(reached)
        yield* cache.drop(reference.sha256)
        const failure = yield* Fiber.join(asking)
        assert.ok(failure._tag === "VoiceNotReady")
        assert.match(failure.reason, /was erased\.$/u)
        assert.deepEqual(yield* files(cache.folder), [])

        // While one fetch is slow to stop, no other begins.
        const gate = yield* Deferred.make<void>()
        cache.watched.before = Effect.uninterruptible(Deferred.await(gate))
        const slow = yield* Effect.forkChild(Effect.flip(cache.get(reference)))
        while (cache.watched.opened.length < 3) yield* Effect.promise(() => sleep(1))
        const dropping = yield* Effect.forkChild(cache.drop(reference.sha256), { startImmediately: true })
        assert.equal((yield* Effect.flip(cache.get(reference)))._tag, "VoiceNotReady")
        yield* Deferred.succeed(gate, undefined)
        yield* Fiber.join(dropping)
        assert.equal((yield* Fiber.join(slow))._tag, "VoiceNotReady")
        assert.deepEqual(yield* files(cache.folder), [])

        // One that is still in the store may be asked for again; another process's file goes too.
        cache.watched.before = Effect.void
        const neighbour = yield* makeCache({ folder: cache.folder })
        assert.deepEqual(yield* neighbour.get(reference), clip)
        yield* cache.drop(reference.sha256)
        assert.deepEqual(yield* files(cache.folder), [])
      }))

    it.effect("has nothing left of a clip, however its calls and its erasure interleave", () =>
      Effect.gen(function*() {
        const { clip, reference } = yield* record()
        const cache = yield* makeCache()
        for (let round = 0; round < 10; round++) {
          const calls = Array.from({ length: 12 }, (_, n) =>
            Effect.gen(function*() {
              yield* Effect.promise(() => sleep(Math.random() * 4))
              if (n % 3 === 0) return yield* cache.drop(reference.sha256)
              const { pcm } = yield* cache.get(reference)
              assert.deepEqual(new Uint8Array(pcm), clip.pcm)
            }).pipe(
              Effect.catchTag("VoiceNotReady", ({ reason }) => Effect.sync(() => assert.match(reason, /erased/u)))
            ))
          yield* Effect.all(calls, { concurrency: "unbounded" })
          yield* cache.drop(reference.sha256)
          assert.deepEqual(cache.stats().bytes, { memory: 0, disk: 0 })
          assert.deepEqual(yield* files(cache.folder), [])
          assert.equal(cache.watched.opened.length, cache.watched.closed.length)
        }
      }))

    it.effect("brings a clip nearer ahead of its first call", () =>
      Effect.gen(function*() {
        const { clip, reference } = yield* record()
        const cache = yield* makeCache()
        yield* cache.prefetch(missing)
        yield* cache.prefetch(reference)
        while (cache.stats().entries.memory === 0) yield* Effect.promise(() => sleep(1))
        const { diskHits, memoryHits, misses } = cache.stats()
        assert.deepEqual({ diskHits, memoryHits, misses }, { diskHits: 0, memoryHits: 0, misses: 0 })
        assert.deepEqual(yield* cache.get(reference), clip)
        assert.equal(cache.watched.opened.filter((key) => key === reference.objectKey).length, 1)
      }))
  })
}

layer(stores.folder)("ReferenceCache on disk", (it) => {
  it.effect("stays within its bytes, and lets go of what was read longest ago, also after a restart", () =>
    Effect.gen(function*() {
      const all = yield* Effect.all([record(), record(), record(), record(), record()])
      const [a, b, c, d, e] = all.map(({ reference }) => reference) as unknown as Five
      const kept = (folder: string) =>
        Effect.map(
          files(folder),
          (names) =>
            "abcde".split("").filter((_, n) => names.some((name) => name.startsWith(all[n]!.reference.sha256))).join("")
        )
      const tick = TestClock.adjust("1 second")
      // Room for three clips on disk, and for none in memory.
      const bounds = { memoryBytes: 0, diskBytes: 3 * 3200 }
      const first = yield* makeCache(bounds)
      for (const reference of [a, b, c, a, d]) {
        yield* first.get(reference)
        yield* tick
      }
      assert.equal(yield* kept(first.folder), "acd")
      const second = yield* makeCache({ ...bounds, folder: first.folder })
      assert.deepEqual(second.stats().bytes, { memory: 0, disk: 9600 })
      yield* second.get(e)
      assert.equal(yield* kept(first.folder), "ade")
      yield* makeCache({ ...bounds, folder: first.folder, diskBytes: 3200 })
      assert.equal(yield* kept(first.folder), "e")
      const off = yield* makeCache({ ...bounds, folder: first.folder, diskBytes: 0 })
      assert.equal(yield* kept(first.folder), "")
      yield* off.get(a)
      assert.deepEqual(off.stats().entries, { memory: 0, disk: 0 })
    }))

  it.effect("keeps in memory what fits, the last used", () =>
    Effect.gen(function*() {
      const [a, b, c] = [yield* record(), yield* record(), yield* record()]
      const { get, stats } = yield* makeCache({ memoryBytes: 2 * 3200 })
      for (const { reference } of [a, b, a, c, a]) yield* get(reference)
      assert.deepEqual([stats().memoryHits, stats().bytes.memory], [2, 6400])
      yield* get(b.reference)
      assert.deepEqual([stats().memoryHits, stats().diskHits], [2, 1])
    }))

  it.effect("does not speak from a file that was changed, cut or lost", () =>
    Effect.gen(function*() {
      const { clip, reference } = yield* record()
      const { folder, get, watched } = yield* makeCache({ memoryBytes: 0 })
      const path = join(folder, `${reference.sha256}-${clip.sha256}.pcm`)
      yield* get(reference)
      const harms = [
        async () => {
          const bytes = await readFile(path)
          bytes[7]! ^= 0x10
          await writeFile(path, bytes)
        },
        () => truncate(path, 1600),
        () => rm(path)
      ]
      for (const [n, harm] of harms.entries()) {
        yield* Effect.promise(harm)
        assert.deepEqual(yield* get(reference), clip)
        assert.equal(watched.opened.length, n + 2, "fetched again")
        assert.deepEqual(new Uint8Array(yield* Effect.promise(() => readFile(path))), clip.pcm)
        const { pcm } = yield* get(reference)
        assert.deepEqual([new Uint8Array(pcm), watched.opened.length], [clip.pcm, n + 2])
      }
    }))

  it.effect("works without its folder", () =>
    Effect.gen(function*() {
      const { clip, reference } = yield* record()
      const file = join(yield* temporary, "a-file")
      yield* Effect.promise(() => writeFile(file, ""))
      const { get, stats } = yield* makeCache({ folder: join(file, "references") })
      assert.deepEqual(yield* get(reference), clip)
      assert.deepEqual(stats().entries, { memory: 1, disk: 0 })
    }))
})

describe("DiskClips", () => {
  it.live("has nothing half after a kill in the middle of writing", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      let whole = 0
      for (const [written, millis] of [[0, 2], [1, 0], [2, 1], [3, 3]] as const) {
        yield* Effect.promise(async () => {
          const child = spawn(process.execPath, [
            "--disable-warning=ExperimentalWarning",
            join(import.meta.dirname, "ReferenceCache", "writer.ts"),
            folder
          ], { stdio: ["ignore", "pipe", "inherit"] })
          const lines = createInterface(child.stdout)
          for (let line = 0; line <= written; line++) await once(lines, "line")
          await sleep(millis)
          child.kill("SIGKILL")
          await once(child, "exit")
        })
        const scope = yield* Scope.make()
        yield* DiskClips.make({ folder, bytesMax: 1 << 30 }).pipe(Scope.provide(scope))
        const names = yield* files(folder)
        for (const name of names) {
          const [, sha256] = /^[0-9a-f]{64}-([0-9a-f]{64})\.pcm$/u.exec(name) ?? assert.fail(name)
          assert.equal(hashOf(yield* Effect.promise(() => readFile(join(folder, name)))), sha256)
        }
        whole = names.length
      }
      assert.ok(whole > 0)
    }))

  it.effect("sweeps what was left half written", () =>
    Effect.gen(function*() {
      const folder = yield* temporary
      yield* Effect.promise(() => writeFile(join(folder, ".draft-1"), "half"))
      yield* Effect.promise(() => writeFile(join(folder, "notes.txt"), "not ours"))
      yield* DiskClips.make({ folder, bytesMax: 1000 })
      assert.deepEqual(yield* files(folder), ["notes.txt"])
    }))
})
