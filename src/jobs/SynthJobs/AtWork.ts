/**
 * Says in the job's row whether its run has anything of the job in hand, so that a process that dies while it only waits for
 * a backend, or for a place among its tenant's calls, is not counted as if it had died of the job.
 *
 * A run is at work from its beginning, and says otherwise only when it is sure: whatever might kill it is done at work.
 */
import { Effect, Semaphore } from "effect"
import { JobRuns } from "../../services/JobRuns.ts"
import type { Run } from "../../services/JobRuns.ts"

/** `othersWork`: whether anything but what is named `during` goes on for the job. */
export const make = Effect.fnUntraced(function*(run: Run, othersWork: () => boolean) {
  const runs = yield* JobRuns
  const writing = yield* Semaphore.make(1)
  let inHand = 0
  let waits = false

  const begins = Effect.suspend(() =>
    waits ? Effect.andThen(runs.atWork(run), Effect.sync(() => waits = false)) : Effect.void
  ).pipe(writing.withPermits(1))

  return {
    /** Something that is done for the job, until the scope closes. */
    during: Effect.acquireRelease(Effect.sync(() => inHand++), () => Effect.sync(() => inHand--)).pipe(
      Effect.andThen(begins)
    ),
    /** There is nothing to do now. */
    waiting: Effect.suspend(() =>
      inHand > 0 || waits || othersWork()
        ? Effect.void
        : Effect.andThen(runs.waiting(run), Effect.sync(() => waits = true))
    ).pipe(
      writing.withPermits(1),
      // Where it cannot be said the run counts as at work.
      Effect.catchTag("StorageUnavailable", () => Effect.void)
    )
  }
})
