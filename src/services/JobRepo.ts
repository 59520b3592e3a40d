/**
 * Jobs as their owners see them: taken, read, listed, canceled. How they are run is `JobRuns`, how they go `JobExpiry`.
 *
 * A job is taken when its row and its place in the queue are written, which is one transaction. A read of one job touches
 * the partition that its id names and no other; somebody else's job is absent.
 */
import { Clock, Context, Effect, Layer, Predicate } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { InvalidRequest, JobNotFound } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import { JobId } from "../domain/Ids.ts"
import type { LicenceId, RequestId, SynthesisId } from "../domain/Ids.ts"
import { laneOf } from "../domain/Job.ts"
import type { Job, JobStatus } from "../domain/Job.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { codePoints } from "../domain/SpeakRequest.ts"
import type { SpeakRequest } from "../domain/SpeakRequest.ts"
import { orUnavailable } from "./Database.ts"
import { dayOf, makeId, millisOf } from "./Ids.ts"
import { JobQueue } from "./JobQueue.ts"
import { settle } from "./JobRepo/Account.ts"
import { accountColumns, at, decodeAccount, encodeRequest, jobOf, seenColumns } from "./JobRepo/JobRow.ts"
import { Licences } from "./Licences.ts"
import { Signals } from "./Signals.ts"
import { affected } from "./sql/Dialect.ts"

export interface NewJob {
  readonly requestId: RequestId
  readonly caller: AuthUser
  readonly speak: SpeakRequest
  readonly synthesisId: SynthesisId
  /** Which has reserved its characters; the job gives back what it does not speak. */
  readonly licenceId: LicenceId | null
}

/** What every process is to know of a job that was just taken. */
export interface Taken {
  readonly jobId: JobId
  readonly characters: number
  readonly expiresAt: number
}

const deadlockRetries = 5
const isDeadlock = (error: unknown): boolean =>
  Predicate.isTagged(error, "StorageUnavailable") && Predicate.hasProperty(error, "cause") &&
  SqlError.isSqlError(error.cause) && error.cause.reason._tag === "DeadlockError"

type Owner = Pick<AuthUser, "tenantId" | "userId">

export class JobRepo extends Context.Service<JobRepo, {
  /** `alongside` is written with the job, or neither is. */
  readonly enqueue: <E>(
    job: NewJob,
    alongside: (taken: Taken) => Effect.Effect<void, E>
  ) => Effect.Effect<Taken, E | StorageUnavailable>
  readonly find: (owner: Owner, jobId: JobId) => Effect.Effect<Job, JobNotFound | StorageUnavailable>
  /** Newest first. `limit`: 1 to 200. */
  readonly list: (
    owner: Owner,
    page: { readonly status?: JobStatus; readonly limit: number; readonly cursor?: string }
  ) => Effect.Effect<
    { readonly items: ReadonlyArray<Job>; readonly nextCursor: string | null },
    InvalidRequest | StorageUnavailable
  >
  /** Ends a job that has not ended; what runs of it stops wherever it is. One that has ended stays as it is. */
  readonly cancel: (owner: Owner, jobId: JobId) => Effect.Effect<Job, JobNotFound | StorageUnavailable>
}>()("scaispeak/JobRepo") {
  /** `keepMs`: how long after it was taken a job's audio and text are kept. */
  static readonly layer = (options: { readonly keepMs: number }) =>
    Layer.effect(
      JobRepo,
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const queue = yield* JobQueue
        const signals = yield* Signals
        const licences = yield* Licences
        const inTransaction = <A, E, R>(self: Effect.Effect<A, E, R>) => orUnavailable(sql.withTransaction(self))

        const enqueue = <E>(job: NewJob, alongside: (taken: Taken) => Effect.Effect<void, E>) =>
          Effect.gen(function*() {
            const { caller, licenceId, requestId, speak, synthesisId } = job
            const { credential, partnerId, role, tenantId, userId } = caller
            const jobId = yield* makeId("job")
            const now = millisOf(jobId)!
            const characters = codePoints(speak.text)
            const taken: Taken = { jobId, characters, expiresAt: now + options.keepMs }
            const row = {
              job_id: jobId,
              created_on: dayOf(now),
              tenant_id: tenantId,
              user_id: userId,
              voice_id: speak.voiceId,
              status: "queued",
              request: encodeRequest({
                speak,
                caller: { userId, tenantId, role, ...(partnerId === undefined ? {} : { partnerId }) }
              }),
              characters,
              synthesis_id: synthesisId,
              request_id: requestId,
              key_id: credential.kind === "apiKey" ? credential.keyId : null,
              license_id: licenceId,
              tags: JSON.stringify(speak.tags ?? []),
              created_at: now,
              updated_at: now,
              expires_at: taken.expiresAt,
              purge_at: taken.expiresAt
            }
            // Those that take and those that are taken can deadlock in MariaDB; one of them has to try again.
            yield* Effect.retry(
              inTransaction(Effect.gen(function*() {
                yield* sql`INSERT INTO synth_jobs ${sql.insert(row)}`
                yield* queue.offer(laneOf(characters), { jobId, tenantId, characters })
                yield* alongside(taken)
              })),
              { times: deadlockRetries, while: isDeadlock }
            )
            return taken
          })

        const owned = (owner: Owner, jobId: JobId) =>
          sql`${at(sql, jobId)} AND tenant_id = ${owner.tenantId} AND user_id = ${owner.userId}`

        const find = Effect.fn("JobRepo.find")(function*(owner: Owner, jobId: JobId) {
          const [row] = yield* orUnavailable(sql`
            SELECT ${sql.literal(seenColumns)} FROM synth_jobs WHERE ${owned(owner, jobId)}`)
          return row === undefined ? yield* new JobNotFound() : yield* jobOf(row)
        })

        const list = Effect.fn("JobRepo.list")(function*(
          owner: Owner,
          { cursor, limit, status }: { readonly status?: JobStatus; readonly limit: number; readonly cursor?: string }
        ) {
          const after = cursor === undefined ? undefined : decodeCursor(cursor)
          if (cursor !== undefined && after === undefined) {
            return yield* InvalidRequest.field("cursor", "not one of ours")
          }
          const rows = yield* orUnavailable(sql`
            SELECT ${sql.literal(seenColumns)} FROM synth_jobs
            WHERE ${
            sql.and([
              sql`tenant_id = ${owner.tenantId} AND user_id = ${owner.userId}`,
              ...(after === undefined ? [] : [sql`job_id < ${after}`]),
              ...(status === undefined ? [] : [sql`status = ${status}`])
            ])
          } ORDER BY job_id DESC LIMIT ${sql.literal(String(limit + 1))}`)
          const items = yield* Effect.forEach(rows.slice(0, limit), jobOf)
          return { items, nextCursor: rows.length > limit ? encodeCursor(items.at(-1)!.jobId) : null }
        })

        const cancel = Effect.fn("JobRepo.cancel")(function*(owner: Owner, jobId: JobId) {
          const canceled = yield* inTransaction(Effect.gen(function*() {
            const [found] = yield* sql`
              SELECT ${sql.literal(accountColumns)} FROM synth_jobs WHERE ${owned(owner, jobId)}`
            if (found === undefined) return yield* new JobNotFound()
            const now = yield* Clock.currentTimeMillis
            const changed = yield* affected(sql`
              UPDATE synth_jobs SET status = 'canceled', status_reason = NULL, finished_at = ${now},
                updated_at = ${now}, revision = revision + 1
              WHERE ${owned(owner, jobId)} AND status IN ('queued', 'running')`)
            if (changed === 0) return false
            // As it is now that nobody else changes it.
            const [row] = yield* sql`SELECT ${sql.literal(accountColumns)} FROM synth_jobs WHERE ${at(sql, jobId)}`
            yield* Effect.provideService(
              settle(licences, yield* decodeAccount(row), "canceled", null, now),
              SqlClient.SqlClient,
              sql
            )
            return true
          }))
          if (canceled) yield* signals.publish("job.changed", { jobId, canceled: true })
          return yield* find(owner, jobId)
        })

        return JobRepo.of({ enqueue, find, list, cancel })
      })
    )
}

const encodeCursor = (jobId: JobId): string => Buffer.from(jobId).toString("base64url")

const decodeCursor = (cursor: string): JobId | undefined => {
  const text = Buffer.from(cursor, "base64url").toString()
  return millisOf(text) !== undefined && text.startsWith("job_") ? JobId.make(text) : undefined
}
