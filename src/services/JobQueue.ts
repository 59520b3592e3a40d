/**
 * The queue of jobs: Effect's `PersistedQueue`, one for each line, over a store that is fair between tenants.
 *
 * An entry is offered in the transaction that writes the job's row, so that there is never the one without the other, and
 * is gone when its handler has succeeded. Why this queue: `docs/decisions/0011-jobs-queue.md`.
 */
import { Context, Duration, Effect, Layer, Schedule } from "effect"
import { PersistedQueue } from "effect/persistence"
import { SqlClient, SqlError } from "effect/sql"
import { callbackWaitMillis } from "../domain/Callback.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import { JobId } from "../domain/Ids.ts"
import type { TenantId } from "../domain/Ids.ts"
import { backoffMillis, sliceCharacters } from "../domain/Job.ts"
import type { Lane } from "../domain/Job.ts"
import { orUnavailable } from "./Database.ts"
import * as FairStore from "./JobQueue/FairStore.ts"
import { onSignal, Signals } from "./Signals.ts"

export { GaveWay, PutOff } from "./JobQueue/FairStore.ts"

/** How soon a process finds a job that it was not told of. */
const pollMillis = 1000
/** The job decides itself when it has been tried often enough: only it can say so to its owner. */
const attemptsEndless = 2 ** 31 - 1

/** What jobs wait in: to be spoken, in one of two lanes; once they have ended, to be told of. */
export type Line = Lane | "callbacks"

/** How long an element waits before it is tried again after so many attempts, ms. */
const waits: { readonly [K in Line]: (attempts: number) => number } = {
  short: backoffMillis,
  long: backoffMillis,
  callbacks: callbackWaitMillis
}

/** What a job counts in its tenant's share: what it will have spoken when it next lets others go first. */
export const costOf = (characters: number): number => Math.max(1, Math.min(characters, sliceCharacters))

export class JobQueue extends Context.Service<JobQueue, {
  /** Joins the caller's transaction. `characters`: code points that are still to be spoken. */
  readonly offer: (
    line: Line,
    job: { readonly jobId: JobId; readonly tenantId: TenantId; readonly characters: number }
  ) => Effect.Effect<void, StorageUnavailable>
  /** Takes what waits there out; whoever has it in hand finishes. Joins the caller's transaction. */
  readonly withdraw: (line: Line, jobId: JobId) => Effect.Effect<void, StorageUnavailable>
  /**
   * Waits for the next job of the line and handles it. One whose handler fails comes again after a while, unless it failed
   * with `GaveWay` or with `PutOff`, which says when; one whose handler is interrupted comes again at once. `attempts` counts
   * from 1.
   */
  readonly take: <A, E, R>(
    line: Line,
    handle: (jobId: JobId, attempts: number) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E | StorageUnavailable, R>
  /** Whether the lane holds a job whose turn it is and that nobody has. */
  readonly isWaiting: (lane: Lane) => Effect.Effect<boolean, StorageUnavailable>
}>()("scaispeak/JobQueue") {
  /** `leaseMs`: the jobs of a process that nothing is heard of for so long are handed to others. */
  static readonly layer = (options: { readonly leaseMs: number }) =>
    Layer.effect(
      JobQueue,
      Effect.gen(function*() {
        const signals = yield* Signals
        const sql = yield* SqlClient.SqlClient
        const { isWaiting, nudge, store } = yield* FairStore.make({ leaseMs: options.leaseMs, pollMs: pollMillis })
        const { tellOthers } = yield* signals.subscribe("jobs.queued")
        yield* onSignal(signals, "jobs.queued", () => nudge)
        const factory = yield* Effect.provideService(
          PersistedQueue.makeFactory,
          PersistedQueue.PersistedQueueStore,
          store
        )
        const queueOf = (name: Line) =>
          factory.make({
            name,
            schema: FairStore.Turn,
            maxAttempts: attemptsEndless,
            retrySchedule: backoff(waits[name])
          })
        const queues = {
          short: yield* queueOf("short"),
          long: yield* queueOf("long"),
          callbacks: yield* queueOf("callbacks")
        }

        return JobQueue.of({
          offer: (line, { characters, jobId, tenantId }) =>
            queues[line].offer({ flow: tenantId, cost: costOf(characters) }, { id: jobId }).pipe(
              Effect.andThen(sql.afterCommit(tellOthers({}))),
              Effect.asVoid,
              away
            ),
          withdraw: (line, jobId) =>
            Effect.asVoid(orUnavailable(sql`DELETE FROM job_queue WHERE queue = ${line} AND id = ${jobId}`)),
          take: (line, handle) => away(queues[line].take((_, { attempts, id }) => handle(JobId.make(id), attempts))),
          isWaiting: (lane) => orUnavailable(isWaiting(lane))
        })
      })
    )
}

/** The wait depends on the attempt alone: the schedule is replayed up to it. */
const backoff = (wait: (attempts: number) => number) =>
  Schedule.forever.pipe(
    Schedule.addDelay(({ output }) => Effect.succeed(Duration.millis(wait(output + 1))))
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
