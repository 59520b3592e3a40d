/**
 * The queue of jobs: Effect's `PersistedQueue`, one for each lane, over a store that is fair between tenants.
 *
 * An entry is offered in the transaction that writes the job's row, so that there is never the one without the other, and
 * is gone when its handler has succeeded. Why this queue: `docs/decisions/0011-jobs-queue.md`.
 */
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import { PersistedQueue } from "effect/persistence"
import { SqlClient, SqlError } from "effect/sql"
import type { StorageUnavailable } from "../domain/Failure.ts"
import { JobId } from "../domain/Ids.ts"
import type { TenantId } from "../domain/Ids.ts"
import { backoffMillis, lanes, sliceCharacters } from "../domain/Job.ts"
import type { Lane } from "../domain/Job.ts"
import { orUnavailable } from "./Database.ts"
import * as FairStore from "./JobQueue/FairStore.ts"
import { onSignal, Signals } from "./Signals.ts"

export { GaveWay } from "./JobQueue/FairStore.ts"

/** How soon a process finds a job that it was not told of. */
const pollMillis = 1000
/** The job decides itself when it has been tried often enough: only it can say so to its owner. */
const attemptsEndless = 2 ** 31 - 1

/** What a job counts in its tenant's share: what it will have spoken when it next lets others go first. */
export const costOf = (characters: number): number => Math.max(1, Math.min(characters, sliceCharacters))

export class JobQueue extends Context.Service<JobQueue, {
  /** Joins the caller's transaction. `characters`: code points that are still to be spoken. */
  readonly offer: (
    lane: Lane,
    job: { readonly jobId: JobId; readonly tenantId: TenantId; readonly characters: number }
  ) => Effect.Effect<void, StorageUnavailable>
  /**
   * Waits for the next job of the lane and handles it. One whose handler fails comes again after a while, unless it failed
   * with `GaveWay`; one whose handler is interrupted comes again at once. `attempts` counts from 1.
   */
  readonly take: <A, E, R>(
    lane: Lane,
    handle: (jobId: JobId, attempts: number) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StorageUnavailable, R>
}>()("scaispeak/JobQueue") {
  /** `leaseMs`: the jobs of a process that nothing is heard of for so long are handed to others. */
  static readonly layer = (options: { readonly leaseMs: number }) =>
    Layer.effect(
      JobQueue,
      Effect.gen(function*() {
        const signals = yield* Signals
        const sql = yield* SqlClient.SqlClient
        const { nudge, store } = yield* FairStore.make({ leaseMs: options.leaseMs, pollMs: pollMillis })
        const { tellOthers } = yield* signals.subscribe("jobs.queued")
        yield* onSignal(signals, "jobs.queued", () => nudge)
        const factory = yield* Effect.provideService(
          PersistedQueue.makeFactory,
          PersistedQueue.PersistedQueueStore,
          store
        )
        const [short, long] = yield* Effect.forEach(lanes, (name) =>
          factory.make({
            name,
            schema: FairStore.Turn,
            maxAttempts: attemptsEndless,
            retrySchedule: backoff
          }))
        const queues = { short: short!, long: long! }

        return JobQueue.of({
          offer: (lane, { characters, jobId, tenantId }) =>
            queues[lane].offer({ flow: tenantId, cost: costOf(characters) }, { id: jobId }).pipe(
              Effect.andThen(sql.afterCommit(tellOthers({}))),
              Effect.asVoid,
              away
            ),
          take: (lane, handle) => away(queues[lane].take((_, { attempts, id }) => handle(JobId.make(id), attempts)))
        })
      })
    )
}

/** The wait depends on the attempt alone: the schedule is replayed up to it. */
const backoff = Schedule.forever.pipe(
  Schedule.addDelay(({ output }) => Effect.succeed(Duration.millis(backoffMillis(output + 1))))
)

type QueueError = PersistedQueue.PersistedQueueError

/** What the store fails with is the database's; what does not decode was written by no version of ours. */
const away = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, Exclude<E, QueueError | { readonly _tag: "SchemaError" }> | StorageUnavailable, R> =>
  Effect.catch(effect, (error): Effect.Effect<never, unknown> => {
    const { _tag, cause } = error as { readonly _tag?: string; readonly cause?: unknown }
    if (_tag === "SchemaError") return Effect.die(error)
    if (_tag !== "PersistedQueueError") return Effect.fail(error)
    return SqlError.isSqlError(cause) ? orUnavailable(Effect.fail(cause)) : Effect.die(error)
  }) as Effect.Effect<A, Exclude<E, QueueError | { readonly _tag: "SchemaError" }> | StorageUnavailable, R>
