/**
 * How jobs go: their audio and text when they expire or their voice or user is erased, their rows a month at a time.
 *
 * Objects go before the row says so: a row that is left names nothing, an object that is left would never be found again.
 * Any number of processes may do any of it at once.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { JobId, TenantId, UserId, VoiceId } from "../domain/Ids.ts"
import { folderOf } from "../domain/Job.ts"
import { orUnavailable } from "./Database.ts"
import { settle } from "./JobRepo/Account.ts"
import { accountColumns, at, decodeAccount } from "./JobRepo/JobRow.ts"
import { Licences } from "./Licences.ts"
import { ObjectStore } from "./ObjectStore.ts"
import { Signals } from "./Signals.ts"
import { affected } from "./sql/Dialect.ts"
import { dropPartitions } from "./sql/Partitions.ts"

/** Jobs that one look takes. */
const batchMax = 200

/** Whose jobs: all in a voice, or all of a user. */
export type Outputs = { readonly voiceId: VoiceId } | { readonly tenantId: TenantId; readonly userId: UserId }

export class JobExpiry extends Context.Service<JobExpiry, {
  /** Removes what has expired by `nowMillis`; says how many jobs. One that never came to its turn fails. */
  readonly sweep: (nowMillis: number) => Effect.Effect<number, StorageUnavailable>
  /**
   * Ends the jobs, removes their audio and text, and says how many lost something; the rows stay, without it. Again, it
   * removes what came since.
   */
  readonly erase: (of: Outputs) => Effect.Effect<number, StorageUnavailable>
  /** Drops rows of months that ended before `beforeMillis`, once nothing of theirs is left; says how many months or rows. */
  readonly retire: (beforeMillis: number) => Effect.Effect<number, StorageUnavailable>
}>()("scaispeak/JobExpiry") {
  static readonly layer = Layer.effect(
    JobExpiry,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const objects = yield* ObjectStore
      const signals = yield* Signals
      const licences = yield* Licences

      /** Ends what has not ended; what runs of it hears of that. */
      const close = Effect.fnUntraced(function*(jobId: JobId, status: "failed" | "canceled", reason: string) {
        const now = yield* Clock.currentTimeMillis
        const closed = yield* sql.withTransaction(Effect.gen(function*() {
          const changed = yield* affected(sql`
            UPDATE synth_jobs SET status = ${status}, status_reason = ${reason}, finished_at = ${now},
              updated_at = ${now}, revision = revision + 1
            WHERE ${at(sql, jobId)} AND status IN ('queued', 'running')`)
          if (changed === 0) return false
          const [row] = yield* sql`SELECT ${sql.literal(accountColumns)} FROM synth_jobs WHERE ${at(sql, jobId)}`
          const account = yield* decodeAccount(row)
          yield* Effect.provideService(settle(licences, account, status, null, now), SqlClient.SqlClient, sql)
          return true
        }))
        if (closed) yield* signals.publish("job.changed", { jobId, canceled: true })
      }, orUnavailable)

      const purge = Effect.fnUntraced(function*(jobId: JobId) {
        yield* objects.removeAll(folderOf(jobId))
        yield* orUnavailable(sql`
          UPDATE synth_jobs SET purge_at = NULL, audio_uri = NULL, request = '', segments = NULL, tags = NULL,
            revision = revision + 1
          WHERE ${at(sql, jobId)}`)
      })

      const sweep = Effect.fn("JobExpiry.sweep")(function*(nowMillis: number) {
        for (let count = 0;;) {
          const due = yield* orUnavailable(sql<{ readonly job_id: JobId }>`
            SELECT job_id FROM synth_jobs WHERE purge_at <= ${nowMillis} LIMIT ${sql.literal(String(batchMax))}`)
          if (due.length === 0) return count
          for (const { job_id } of due) {
            yield* close(job_id, "failed", "It expired before it was spoken.")
            yield* purge(job_id)
          }
          count += due.length
        }
      })

      const erase = Effect.fn("JobExpiry.erase")(function*(of: Outputs) {
        const theirs = "voiceId" in of
          ? sql`voice_id = ${of.voiceId}`
          : sql`tenant_id = ${of.tenantId} AND user_id = ${of.userId}`
        for (let count = 0;;) {
          const found = yield* orUnavailable(sql<{ readonly job_id: JobId }>`
            SELECT job_id FROM synth_jobs WHERE ${theirs} AND purge_at IS NOT NULL
            LIMIT ${sql.literal(String(batchMax))}`)
          if (found.length === 0) return count
          for (const { job_id } of found) {
            yield* close(job_id, "canceled", "It was erased.")
            yield* purge(job_id)
          }
          count += found.length
        }
      })

      return JobExpiry.of({
        sweep,
        erase,
        retire: (beforeMillis) =>
          dropPartitions(beforeMillis).pipe(
            Effect.provideService(SqlClient.SqlClient, sql),
            orUnavailable,
            // Somebody else is at it.
            Effect.catchTag("MigrationsLocked", () => Effect.succeed(0))
          )
      })
    })
  )
}
