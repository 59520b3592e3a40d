/** What is left to tell of jobs that have ended, and how far that has come, as their rows have it. */
import { Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import type { CallbackStatus } from "../domain/Callback.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { JobId } from "../domain/Ids.ts"
import { isEnded } from "../domain/Job.ts"
import type { Job } from "../domain/Job.ts"
import { orUnavailable } from "./Database.ts"
import { at, jobOf, seenColumns } from "./JobRepo/JobRow.ts"

export class JobCallbacks extends Context.Service<JobCallbacks, {
  /** Undefined: there is nothing to tell any more, or nobody. */
  readonly find: (
    jobId: JobId
  ) => Effect.Effect<{ readonly job: Job; readonly url: string } | undefined, StorageUnavailable>
  /** Of a job that has expired nothing is kept once nothing is left to try. `attempts`: so far. */
  readonly note: (
    jobId: JobId,
    what: { readonly status: CallbackStatus; readonly attempts: number; readonly error: string | null }
  ) => Effect.Effect<void, StorageUnavailable>
}>()("scaispeak/JobCallbacks") {
  static readonly layer = Layer.effect(
    JobCallbacks,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient

      const find = Effect.fn("JobCallbacks.find")(function*(jobId: JobId) {
        const [row] = yield* orUnavailable(sql`
          SELECT ${sql.literal(seenColumns)} FROM synth_jobs WHERE ${at(sql, jobId)}`)
        if (row === undefined) return undefined
        const job = yield* jobOf(row)
        const { callback, status } = job
        if (callback === null || callback.url === null || callback.status !== "pending") return undefined
        return isEnded(status) ? { job, url: callback.url } : undefined
      })

      const note: JobCallbacks["Service"]["note"] = (jobId, { attempts, error, status }) =>
        Effect.asVoid(orUnavailable(sql`
          UPDATE synth_jobs SET revision = revision + 1,
            ${sql.update({ callback_status: status, callback_attempts: attempts, callback_error: error })},
            callback_url = CASE WHEN purge_at IS NULL AND ${status} <> 'pending' THEN NULL ELSE callback_url END
          WHERE ${at(sql, jobId)} AND callback_status = 'pending'`))

      return JobCallbacks.of({ find, note })
    })
  )
}
