/**
 * The pool that runs jobs: a few fibers, some for short ones and some for long ones, in any number of processes.
 *
 * What a run leaves behind is in the database and the object store, so that it can end anywhere: by a stop of the process,
 * which puts the job back for another one; by its death, after which the lease runs out; by a failure, after which the job
 * waits and is tried again, at most five times without getting further. However a run ends, its job has one end, one usage row and one file.
 */
import { Cause, Effect, Fiber, Layer, Metric, Schema, Stream } from "effect"
import { show } from "../domain/Failure.ts"
import type { Code, Failure } from "../domain/Failure.ts"
import { isFailure } from "../domain/Failure.ts"
import type { JobId } from "../domain/Ids.ts"
import {
  backoffMillis,
  failuresMax,
  folderOf,
  isDeadly,
  isWorthAnotherRun,
  laneOf,
  lanes,
  segmentsAtOnce
} from "../domain/Job.ts"
import type { Lane } from "../domain/Job.ts"
import { segmentsOf } from "../services/JobPlan.ts"
import { costOf, GaveWay, JobQueue, PutOff } from "../services/JobQueue.ts"
import { JobRuns, RunLost } from "../services/JobRuns.ts"
import type { Run } from "../services/JobRuns.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import { Signals } from "../services/Signals.ts"
import { insist } from "./Insist.ts"
import { assemble } from "./SynthJobs/Assembly.ts"
import { save } from "./SynthJobs/Saving.ts"
import * as Segments from "./SynthJobs/Segments.ts"
import * as Shelf from "./SynthJobs/Shelf.ts"
import { speak } from "./SynthJobs/Speaking.ts"

export interface SynthJobsOptions {
  /** Jobs at once in this process, of each lane half and at least one; 0: none. */
  readonly concurrency: number
}

/** How soon a run notices that its job was canceled or taken over where no signal says so. */
const heldEvery = "2 seconds"
/** While the database is away nothing can be taken. */
const restMillis = 1000

const runsTotal = Metric.counter("scaispeak_job_runs_total", {
  description: "Runs of jobs, by how they ended",
  incremental: true
})
const runEnded = (how: string) => Metric.update(Metric.withAttributes(runsTotal, { how }), 1)

/** A failure that another run may mend; the queue hands the job out again. */
class TryAgain extends Schema.TaggedError<TryAgain>()("TryAgain", { why: Schema.String }) {}

/** What a handler may fail with. */
const ends = [GaveWay, TryAgain, PutOff]

export const layer = ({ concurrency }: SynthJobsOptions) =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const queue = yield* JobQueue
      const runs = yield* JobRuns
      const objects = yield* ObjectStore
      const signals = yield* Signals

      /** The text is cut once, by its first run. */
      const cutsOf = Effect.fnUntraced(function*(run: Run) {
        if (run.row.segments !== null) return run.row.segments
        const { languageHint, text } = run.request.speak
        const cuts = yield* Stream.fromIterable(segmentsOf(text, languageHint ?? "en"), { chunkSize: 1 }).pipe(
          // Other work gets its turn between two segments.
          Stream.tap(() => Effect.yieldNow),
          Stream.runCollect
        )
        yield* runs.cut(run, cuts)
        return cuts
      })

      const work = Effect.fnUntraced(function*(run: Run, attempts: number) {
        const segments = Segments.make(objects, run.jobId)
        const cuts = yield* insist(cutsOf(run))
        const finished = yield* insist(segments.finished)
        const shelf = yield* Shelf.make(
          cuts.length,
          finished,
          finished.size === 0 ? undefined : run.row.speaker ?? undefined
        )
        const assembling = yield* Effect.forkScoped(insist(assemble(run, cuts, segments, shelf)))
        const othersWait = queue.isWaiting(laneOf(run.row.characters))
        const manners = { othersWait, segmentsAtOnce: segmentsAtOnce(attempts, run.row.last_progress) }
        if (!(yield* speak(run, cuts, segments, shelf, manners))) {
          yield* Fiber.interrupt(assembling)
          yield* insist(runs.putBack(run, null))
          return yield* new GaveWay({ cost: costOf(run.row.characters) })
        }
        const { audioMs, facts, key } = yield* Fiber.join(assembling)
        const saved = yield* save(run, key, facts)
        yield* insist(runs.end(run, { status: "completed", audioUri: key, audioMs, saved }))
        yield* runEnded("completed")
      }, Effect.scoped)

      /** Fails as soon as the job is not this run's any more. */
      const lost = Effect.fnUntraced(function*(run: Run) {
        const { signals: changes } = yield* signals.subscribe("job.changed")
        const told = Stream.filter(changes, (signal) =>
          signal._tag === "Resync" || (signal.payload.jobId === run.jobId && signal.payload.canceled))
        const asked = Stream.fromEffectRepeat(Effect.sleep(heldEvery))
        return yield* Stream.merge(told, asked).pipe(
          Stream.runForEach(() =>
            Effect.catchTag(runs.holds(run), "StorageUnavailable", () => Effect.void)
          ),
          Effect.andThen(Effect.never)
        )
      }, Effect.scoped)

      const fail = (run: Run, code: Code, reason: string) =>
        Effect.andThen(
          insist(runs.end(run, { status: "failed", code, reason })),
          Effect.logWarning("job failed", { job_id: run.jobId, code, reason })
        ).pipe(Effect.andThen(runEnded("failed")))

      /** What a failed run comes to: the end of the job, or another run. */
      const failed = Effect.fnUntraced(function*(run: Run, attempts: number, cause: Cause.Cause<unknown>) {
        const failure = cause.reasons.find(Cause.isFailReason)?.error
        if (failure instanceof RunLost) return yield* runEnded("lost")
        if (failure instanceof GaveWay) return yield* failure
        const code: Code = isFailure(failure) ? failure.code : "INTERNAL_ERROR"
        const reason = isFailure(failure) ? reasonOf(failure) : "Something went wrong."
        if (!isFailure(failure)) yield* Effect.logError("a run of a job broke", { job_id: run.jobId }, cause)
        const failures = 1 + (yield* insist(runs.failures(run)))
        if (failures >= failuresMax || !isWorthAnotherRun(failure)) return yield* fail(run, code, reason)
        yield* insist(runs.putBack(run, reason))
        yield* Effect.logInfo("job put back", { job_id: run.jobId, attempts, code, reason })
        yield* runEnded("put_back")
        return yield* new TryAgain({ why: code })
      })

      /**
       * Of a job that has ended nothing is left but what its end names. One that has not stays in the queue: it is another
       * run's, or the end of this one was written and its news lost.
       */
      const tidy = Effect.fnUntraced(function*(jobId: JobId) {
        const state = yield* insist(runs.state(jobId))
        if (state === "open") return yield* new TryAgain({ why: "the run was lost" })
        yield* insist(state === "kept" ? Segments.make(objects, jobId).remove : objects.removeAll(folderOf(jobId)))
      })

      const handle = (jobId: JobId, attempts: number) =>
        Effect.gen(function*() {
          const run = yield* insist(runs.begin(jobId, attempts))
          if (run !== undefined) {
            yield* isDeadly(run.row.deaths)
              ? fail(run, "INTERNAL_ERROR", "Whatever ran it died of it each time.")
              : Effect.raceFirst(work(run, attempts), lost(run)).pipe(
                Effect.catchCause((cause) =>
                  Cause.hasInterruptsOnly(cause)
                    ? Effect.failCause(cause as Cause.Cause<never>)
                    : failed(run, attempts, cause)
                ),
                Effect.catchTag("RunLost", () => runEnded("lost"))
              )
          }
          yield* tidy(jobId)
        }).pipe(
          // What became of the run could not be written: that is no attempt of the job's.
          Effect.catchTag("StorageUnavailable", (failure) =>
            Effect.logWarning("no job can be begun or ended now", failure).pipe(
              Effect.andThen(Effect.sleep(restMillis)),
              Effect.andThen(new PutOff({ millis: backoffMillis(attempts), counts: false }))
            )),
          Effect.annotateLogs({ job_id: jobId })
        )

      const serve = (lane: Lane) =>
        queue.take(lane, handle).pipe(
          Effect.catchCause((cause) => {
            if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
            const expected = cause.reasons.every((reason) =>
              Cause.isFailReason(reason) && ends.some((End) => reason.error instanceof End)
            )
            return expected ? Effect.void : Effect.andThen(
              Effect.logWarning("no job can be taken now", { lane }, cause),
              Effect.sleep(restMillis)
            )
          }),
          Effect.forever
        )

      if (concurrency === 0) return
      const share = { short: Math.max(1, Math.floor(concurrency / 2)), long: Math.max(1, Math.ceil(concurrency / 2)) }
      for (const lane of lanes) {
        for (let i = 0; i < share[lane]; i++) yield* Effect.forkScoped(serve(lane))
      }
    })
  )

/** The code's words, and what it says of this case. */
const reasonOf = (failure: Failure): string => {
  const { details = [], message } = show(failure)
  return [message, ...details.map(({ message }) => message)].join(" ")
}
