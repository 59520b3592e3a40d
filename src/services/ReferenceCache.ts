/**
 * The reference clips of voices as engines take them: from memory, else from disk, else from the object store.
 *
 * Promises: what comes out is the recording that the voice names, held against its hash wherever it was read; both tiers
 * stay within their bytes, and what was used longest ago makes room; calls for one clip at the same time share one fetch,
 * which stops when nobody waits for it any more; what is dropped is gone from both tiers and does not come back from a
 * fetch that was under way.
 *
 * Keys are hashes of stored recordings: whatever voices share one share its clip.
 */
import { Context, Effect, FiberSet, Layer, Metric, Semaphore } from "effect"
import { createHash } from "node:crypto"
import type { StorageUnavailable, VoiceNotReady } from "../domain/Failure.ts"
import type { VoiceReference } from "../domain/Voice.ts"
import { ByteLru } from "./ByteLru.ts"
import { ClipNormaliser } from "./ClipNormaliser.ts"
import { ObjectStore } from "./ObjectStore.ts"
import * as DiskClips from "./ReferenceCache/DiskClips.ts"
import type { Clip } from "./ReferenceCache/DiskClips.ts"
import * as Flights from "./ReferenceCache/Flights.ts"
import { clipNotReady, readRecording } from "./ReferenceCache/Recording.ts"

export interface ReferenceCacheStats {
  /** Clips that `get` was asked for, by what they came from. */
  readonly memoryHits: number
  readonly diskHits: number
  /** Those whose fetch failed included. */
  readonly misses: number
  readonly entries: { readonly memory: number; readonly disk: number }
  readonly bytes: { readonly memory: number; readonly disk: number }
}

export class ReferenceCache extends Context.Service<ReferenceCache, {
  /** `VoiceNotReady` when the recording is missing, another one, or no sound that can be used. */
  readonly get: (reference: VoiceReference) => Effect.Effect<Clip, StorageUnavailable | VoiceNotReady>
  /**
   * Starts to bring the clip nearer and answers at once; a hint, passed over when too many wait. What goes wrong is
   * logged, and told by the `get` that meets it again. Counts in no statistic.
   */
  readonly prefetch: (reference: VoiceReference) => Effect.Effect<void>
  /** Forgets the clip of a recording, lower-case hex of its hash, in memory and on disk; fails if a file stays. */
  readonly drop: (sha256: string) => Effect.Effect<void, StorageUnavailable>
  /** Hashes of the recordings whose clips are kept here, in memory or on disk. */
  readonly held: () => ReadonlyArray<string>
  readonly stats: () => ReferenceCacheStats
}>()("scaispeak/ReferenceCache") {
  /** `folder` is this cache's own. A bound of 0 bytes turns its tier off. */
  static readonly layer = (options: {
    readonly folder: string
    readonly memoryBytes: number
    readonly diskBytes: number
  }): Layer.Layer<ReferenceCache, never, ObjectStore | ClipNormaliser> => Layer.effect(ReferenceCache, make(options))
}

type Source = "memory" | "disk" | "store"
type Found = { readonly clip: Clip; readonly source: Source }

/** Recordings in memory at once while they are fetched and normalised: at most half a gigabyte. */
const fetchesMax = 8
/** Hints at once, of which few fetch: calls come first. */
const prefetchesMax = 64
const prefetchesAtOnce = 2

const lookupsTotal = Metric.counter("scaispeak_reference_cache_total", {
  description: "Reference clips asked for, by where they came from",
  incremental: true
})
const lookups = {
  memory: Metric.withAttributes(lookupsTotal, { result: "memory" }),
  disk: Metric.withAttributes(lookupsTotal, { result: "disk" }),
  store: Metric.withAttributes(lookupsTotal, { result: "store" })
}
const bytesGauge = Metric.gauge("scaispeak_reference_cache_bytes", { description: "Reference clips kept, by tier" })
const memoryGauge = Metric.withAttributes(bytesGauge, { tier: "memory" })
const diskGauge = Metric.withAttributes(bytesGauge, { tier: "disk" })

const make = Effect.fnUntraced(function*(options: {
  readonly folder: string
  readonly memoryBytes: number
  readonly diskBytes: number
}) {
  const objects = yield* ObjectStore
  const normaliser = yield* ClipNormaliser
  const memory = new ByteLru<Clip>(options.memoryBytes)
  const disk = yield* DiskClips.make({ folder: options.folder, bytesMax: options.diskBytes })
  const flights = yield* Flights.make<Found, StorageUnavailable | VoiceNotReady>()
  const prefetches = yield* FiberSet.make<unknown>()
  const fetching = Semaphore.makeUnsafe(fetchesMax)
  const prefetching = Semaphore.makeUnsafe(prefetchesAtOnce)
  const dropping = new Set<string>()
  const counts: Record<Source, number> = { memory: 0, disk: 0, store: 0 }

  const count = (source: Source) =>
    Effect.suspend(() => {
      counts[source]++
      return Metric.update(lookups[source], 1)
    })
  const measure = Effect.suspend(() =>
    Effect.andThen(Metric.update(memoryGauge, memory.bytes), Metric.update(diskGauge, disk.bytes()))
  )
  yield* measure

  const load = Effect.fnUntraced(function*(reference: VoiceReference) {
    if (dropping.has(reference.sha256)) return yield* erased
    const kept = yield* disk.read(reference.sha256)
    const clip = kept ?? (yield* fetching.withPermits(1)(fetch(reference)))
    memory.set(reference.sha256, clip, clip.pcm.length)
    if (kept === undefined) yield* disk.write(reference.sha256, clip)
    yield* measure
    return { clip, source: kept === undefined ? "store" : "disk" } satisfies Found
  })

  const fetch = Effect.fn("ReferenceCache.fetch")(function*(reference: VoiceReference) {
    const pcm = yield* normaliser.normalise(yield* readRecording(objects, reference))
    return { pcm, sha256: createHash("sha256").update(pcm).digest("hex") }
  }, Effect.catchTag("ReferenceUnusable", ({ reason }) => Effect.fail(clipNotReady(`cannot be used: it ${reason}`))))

  const find = (reference: VoiceReference): Effect.Effect<Found, StorageUnavailable | VoiceNotReady> =>
    Effect.suspend(() => {
      const clip = memory.get(reference.sha256)
      return clip !== undefined
        ? Effect.succeed<Found>({ clip, source: "memory" })
        : Effect.catchTag(flights.join(reference.sha256, load(reference)), "Aborted", () => Effect.fail(erased))
    })

  return ReferenceCache.of({
    get: (reference) =>
      find(reference).pipe(
        Effect.tapError(() => count("store")),
        Effect.tap(({ source }) => count(source)),
        Effect.map(({ clip }) => clip)
      ),

    prefetch: Effect.fnUntraced(function*(reference) {
      if ((yield* FiberSet.size(prefetches)) >= prefetchesMax) return
      const quietly = Effect.catch(
        prefetching.withPermits(1)(find(reference)),
        (failure) =>
          Effect.logWarning("a reference clip cannot be fetched", { objectKey: reference.objectKey }, failure)
      )
      yield* FiberSet.run(prefetches, quietly)
    }),

    drop: (sha256) =>
      Effect.acquireUseRelease(
        // From here on no fetch of it begins.
        Effect.sync(() => dropping.add(sha256)),
        () =>
          flights.abort(sha256).pipe(
            Effect.andThen(Effect.sync(() => memory.delete(sha256))),
            Effect.andThen(disk.remove(sha256)),
            Effect.andThen(measure)
          ),
        () => Effect.sync(() => dropping.delete(sha256))
      ),

    held: () => [...new Set([...memory.keys(), ...disk.held()])],

    stats: () => ({
      memoryHits: counts.memory,
      diskHits: counts.disk,
      misses: counts.store,
      entries: { memory: memory.size, disk: disk.entries() },
      bytes: { memory: memory.bytes, disk: disk.bytes() }
    })
  })
})

const erased = clipNotReady("was erased")
