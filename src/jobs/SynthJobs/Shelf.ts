/**
 * The finished segments of a job, as a run has them at hand: what speaks puts them there in any order, what puts the file
 * together takes them in theirs and waits for the next one.
 */
import { Deferred, Effect, Latch } from "effect"
import type { Speaker } from "../../domain/Job.ts"

export interface Shelf {
  /** Bytes of each finished segment, by its index. */
  readonly sizes: ReadonlyMap<number, number>
  readonly add: (index: number, size: number) => Effect.Effect<void>
  /** Succeeds once the segment is finished. */
  readonly has: (index: number) => Effect.Effect<void>
  /** Who speaks the job, once that is agreed. */
  readonly speaker: Deferred.Deferred<Speaker>
  /**
   * Opens when this run seems to be the one that will end the job: it began while nobody waited, was let go on past a slice,
   * or has no more than a slice to speak. Where another run goes on, the file is begun anew: it is not begun before.
   */
  readonly last: Latch.Latch
}

/** `finished`: what earlier runs have left. `speaker`: who spoke that. */
export const make = (
  segments: number,
  finished: ReadonlyMap<number, number>,
  speaker: Speaker | undefined
): Effect.Effect<Shelf> =>
  Effect.sync(() => {
    const sizes = new Map(finished)
    const arrived = Array.from({ length: segments }, () => Latch.makeUnsafe(false))
    for (const index of sizes.keys()) arrived[index]?.openUnsafe()
    const agreed = Deferred.makeUnsafe<Speaker>()
    if (speaker !== undefined) Deferred.doneUnsafe(agreed, Effect.succeed(speaker))
    return {
      sizes,
      add: (index, size) =>
        Effect.suspend(() => {
          sizes.set(index, size)
          return arrived[index]!.open
        }),
      has: (index) => arrived[index]!.await,
      speaker: agreed,
      last: Latch.makeUnsafe(false)
    }
  })
