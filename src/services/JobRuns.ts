/**
 * A job in the hands of whoever runs it.
 *
 * A run is known by its number, its fence: every write names it, and one whose job was canceled, ended or taken over by
 * another run changes nothing and fails with `RunLost`. A run that had its job in hand and was never heard of again is counted
 * as a death by the next one. The end of a job, its usage row, what is given back of its licence
 * and that somebody is to be told are one transaction: there is one of each, however often and wherever the job was run.
 */
import { Clock, Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { Code, StorageUnavailable } from "../domain/Failure.ts"
import type { JobId } from "../domain/Ids.ts"
import { isEnded } from "../domain/Job.ts"
import type { JobRequest, JobStatus, Saved, Segment, Speaker } from "../domain/Job.ts"
import { orUnavailable } from "./Database.ts"
import { JobQueue } from "./JobQueue.ts"
import { settle } from "./JobRepo/Account.ts"
import { callBack } from "./JobRepo/CallBack.ts"
import {
  accountColumns,
  at,
  decodeAccount,
  decodeRun,
  encodeRouting,
  encodeSaved,
  encodeSegments,
  encodeSpeaker,
  runColumns
} from "./JobRepo/JobRow.ts"
import type { Routing, RunRow } from "./JobRepo/JobRow.ts"
import { Licences } from "./Licences.ts"
import { Signals } from "./Signals.ts"
import { affected } from "./sql/Dialect.ts"

/** The job is no longer this run's. */
export class RunLost extends Schema.TaggedError<RunLost>()("RunLost", {}) {}

export interface Run {
  readonly jobId: JobId
  readonly fence: number
  readonly row: RunRow
  readonly request: JobRequest
}

/** How far a run has come. */
export interface Progress {
  readonly segmentsDone: number
  /** Code points. */
  readonly charactersDone: number
  readonly audioMs: number
}

export type Ending =
  | { readonly status: "completed"; readonly audioUri: string; readonly audioMs: number; readonly saved: Saved | null }
  | { readonly status: "failed"; readonly reason: string; readonly code: Code }

type Change = Effect.Effect<void, RunLost | StorageUnavailable>

export class JobRuns extends Context.Service<JobRuns, {
  /** Begins a run; undefined: the job has ended, or is gone. `attempts`: runs that have begun, but for those let off. */
  readonly begin: (jobId: JobId, attempts: number) => Effect.Effect<Run | undefined, StorageUnavailable>
  /** The text was cut. */
  readonly cut: (run: Run, segments: ReadonlyArray<Segment>) => Change
  /** Somebody has begun to speak it. */
  readonly speaks: (run: Run, speaker: Speaker, routing: Routing) => Change
  readonly progress: (run: Run, progress: Progress) => Change
  /** Nothing of the job is in hand: if the run dies now, it is not of the job. */
  readonly waiting: (run: Run) => Change
  /** Something is again; a run begins so. */
  readonly atWork: (run: Run) => Change
  /** Succeeds as long as the job is this run's. */
  readonly holds: (run: Run) => Change
  /** The run ends and the job does not. `reason`: why it has to be run again; null where it only lets others go first. */
  readonly putBack: (run: Run, reason: string | null) => Change
  /** Runs that failed since one came further. */
  readonly failures: (run: Run) => Effect.Effect<number, RunLost | StorageUnavailable>
  readonly end: (run: Run, ending: Ending) => Change
  /** `open`: it has not ended. `kept`: it has left audio. `gone`: it has left nothing. */
  readonly state: (jobId: JobId) => Effect.Effect<"open" | "kept" | "gone", StorageUnavailable>
}>()("scaispeak/JobRuns") {
  static readonly layer = Layer.effect(
    JobRuns,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const signals = yield* Signals
      const licences = yield* Licences
      const queue = yield* JobQueue

      const its = ({ fence, jobId }: Run) => sql`${at(sql, jobId)} AND fence = ${fence} AND status = 'running'`
      const change = Effect.fnUntraced(function*(run: Run, columns: Record<string, string | number | null>) {
        const updated_at = yield* Clock.currentTimeMillis
        const changed = yield* affected(sql`
          UPDATE synth_jobs SET revision = revision + 1, ${sql.update({ ...columns, updated_at })} WHERE ${its(run)}`)
        if (changed === 0) return yield* new RunLost()
      }, orUnavailable)
      /** What no owner sees. */
      const mark = Effect.fnUntraced(function*(run: Run, at_work: number | null) {
        const changed = yield* affected(sql`UPDATE synth_jobs SET at_work = ${at_work} WHERE ${its(run)}`)
        if (changed === 0) return yield* new RunLost()
      }, orUnavailable)
      /** Whoever follows a job looks at it every second; a change of its status is told at once. */
      const told = ({ jobId }: { readonly jobId: JobId }) => signals.publish("job.changed", { jobId, canceled: false })

      const begin = Effect.fn("JobRuns.begin")(
        function*(jobId: JobId, attempts: number) {
          const now = yield* Clock.currentTimeMillis
          // An attempt that was let off comes again under its number; one that died, under a higher one.
          yield* sql`
            UPDATE synth_jobs SET deaths = CASE WHEN at_work < ${attempts} THEN deaths + 1 ELSE deaths END,
              at_work = ${attempts}, status = 'running', fence = fence + 1, attempts = ${attempts},
              started_at = COALESCE(started_at, ${now}), updated_at = ${now}, revision = revision + 1
            WHERE ${at(sql, jobId)} AND status IN ('queued', 'running')`
          const [found] = yield* sql`SELECT ${sql.literal(runColumns)} FROM synth_jobs WHERE ${at(sql, jobId)}`
          if (found === undefined || isEnded((found as { status: RunRow["status"] }).status)) return undefined
          const row = yield* decodeRun(found)
          return { jobId, fence: row.fence, row, request: row.request } satisfies Run as Run | undefined
        },
        sql.withTransaction,
        orUnavailable,
        Effect.tap((run) => run === undefined ? Effect.void : told(run))
      )

      const end = Effect.fn("JobRuns.end")(function*(run: Run, ending: Ending) {
        const now = yield* Clock.currentTimeMillis
        yield* sql.withTransaction(Effect.gen(function*() {
          const columns = ending.status === "completed"
            ? {
              status: ending.status,
              status_reason: null,
              audio_uri: ending.audioUri,
              audio_duration_ms: ending.audioMs,
              saved: ending.saved === null ? null : encodeSaved(ending.saved)
            }
            : { status: ending.status, status_reason: ending.reason, error_code: ending.code }
          yield* change(run, { ...columns, finished_at: now })
          const [row] = yield* sql`SELECT ${sql.literal(accountColumns)} FROM synth_jobs WHERE ${at(sql, run.jobId)}`
          const account = yield* decodeAccount(row)
          const code = ending.status === "failed" ? ending.code : null
          yield* Effect.provideService(
            settle(licences, account, ending.status, code, now),
            SqlClient.SqlClient,
            sql
          )
          yield* callBack(queue, account)
        }))
        yield* told(run)
      }, orUnavailable)

      return JobRuns.of({
        begin,
        cut: (run, segments) => change(run, { segments: encodeSegments(segments), segments_total: segments.length }),
        speaks: (run, speaker, routing) =>
          change(run, {
            speaker: encodeSpeaker(speaker),
            backend_used: speaker.backend,
            routing: encodeRouting(routing)
          }),
        progress: (run, { audioMs, charactersDone, segmentsDone }) =>
          change(run, {
            segments_done: segmentsDone,
            characters_done: charactersDone,
            audio_duration_ms: audioMs,
            failures: 0,
            deaths: 0,
            last_progress: run.row.attempts
          }),
        waiting: (run) => mark(run, null),
        atWork: (run) => mark(run, run.row.attempts),
        holds: Effect.fnUntraced(function*(run: Run) {
          const rows = yield* sql`SELECT 1 FROM synth_jobs WHERE ${its(run)}`
          if (rows.length === 0) return yield* new RunLost()
        }, orUnavailable),
        putBack: (run, reason) =>
          Effect.andThen(
            reason === null
              ? change(run, { status: "queued", status_reason: null, at_work: null })
              : orUnavailable(sql`UPDATE synth_jobs SET failures = failures + 1 WHERE ${its(run)}`).pipe(
                Effect.andThen(change(run, { status: "queued", status_reason: reason, at_work: null }))
              ),
            told(run)
          ),
        failures: Effect.fnUntraced(function*(run: Run) {
          const [row] = yield* sql<{ readonly failures: number }>`
            SELECT failures FROM synth_jobs WHERE ${its(run)}`
          return row?.failures ?? (yield* new RunLost())
        }, orUnavailable),
        end,
        state: Effect.fnUntraced(function*(jobId: JobId) {
          const [row] = yield* sql<{ readonly status: JobStatus; readonly audio_uri: string | null }>`
            SELECT status, audio_uri FROM synth_jobs WHERE ${at(sql, jobId)}`
          if (row !== undefined && !isEnded(row.status)) return "open" as const
          return row === undefined || row.audio_uri === null ? "gone" as const : "kept" as const
        }, orUnavailable)
      })
    })
  )
}
