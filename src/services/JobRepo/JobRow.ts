/** The rows of `synth_jobs`, and where one lies: the day in its id names its partition. */
import { Effect, Schema } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import { Backend } from "../../domain/BackendPolicy.ts"
import { CallbackStatus } from "../../domain/Callback.ts"
import { ApiKeyId, JobId, LicenceId, RequestId, SynthesisId, TenantId, UserId, VoiceId } from "../../domain/Ids.ts"
import { JobRequest, JobStatus, Saved, Segment, Speaker } from "../../domain/Job.ts"
import type { Job } from "../../domain/Job.ts"
import { dayOf, millisOf } from "../Ids.ts"

const nullable = Schema.NullOr

const seen = {
  job_id: JobId,
  synthesis_id: SynthesisId,
  tenant_id: TenantId,
  user_id: UserId,
  voice_id: VoiceId,
  status: JobStatus,
  status_reason: nullable(Schema.String),
  error_code: nullable(Schema.String),
  characters: Schema.Number,
  attempts: Schema.Number,
  revision: Schema.Number,
  segments_done: Schema.Number,
  segments_total: Schema.Number,
  characters_done: Schema.Number,
  audio_duration_ms: nullable(Schema.Number),
  backend_used: nullable(Backend),
  audio_uri: nullable(Schema.String),
  saved: nullable(Schema.fromJsonString(Saved)),
  callback_url: nullable(Schema.String),
  callback_status: nullable(CallbackStatus),
  callback_attempts: Schema.Number,
  callback_error: nullable(Schema.String),
  created_at: Schema.Number,
  started_at: nullable(Schema.Number),
  finished_at: nullable(Schema.Number),
  expires_at: Schema.Number
}

/** How it was routed so far, for the usage row. */
export const Routing = Schema.Struct({
  nodeId: nullable(Schema.String),
  reasons: Schema.Array(Schema.String),
  ignoredParams: Schema.Array(Schema.String)
})
export type Routing = typeof Routing.Type

const SeenRow = Schema.Struct(seen)
const AccountRow = Schema.Struct({
  ...seen,
  request_id: RequestId,
  key_id: nullable(ApiKeyId),
  license_id: nullable(LicenceId),
  fence: Schema.Number,
  failures: Schema.Number,
  last_progress: Schema.Number,
  deaths: Schema.Number,
  speaker: nullable(Schema.fromJsonString(Speaker)),
  routing: nullable(Schema.fromJsonString(Routing)),
  tags: nullable(Schema.fromJsonString(Schema.Array(Schema.String)))
})
const RunRow = Schema.Struct({
  ...AccountRow.fields,
  request: Schema.fromJsonString(JobRequest),
  segments: nullable(Schema.fromJsonString(Schema.Array(Segment)))
})
export type AccountRow = typeof AccountRow.Type
export type RunRow = typeof RunRow.Type

const columnsOf = (fields: object) => Object.keys(fields).join(", ")
export const seenColumns = columnsOf(seen)
export const accountColumns = columnsOf(AccountRow.fields)
export const runColumns = columnsOf(RunRow.fields)

const decoded = <S extends Schema.ConstraintCodec<unknown, unknown, never, never>>(schema: S) => {
  const decode = Schema.decodeUnknownEffect(schema)
  return (row: unknown): Effect.Effect<S["Type"]> => Effect.orDie(decode(row)) as Effect.Effect<S["Type"]>
}
export const decodeAccount = decoded(AccountRow)
export const decodeRun = decoded(RunRow)
const decodeSeen = decoded(SeenRow)

export const encodeRequest = Schema.encodeSync(Schema.fromJsonString(JobRequest))
export const encodeSegments = Schema.encodeSync(Schema.fromJsonString(Schema.Array(Segment)))
export const encodeSpeaker = Schema.encodeSync(Schema.fromJsonString(Speaker))
export const encodeRouting = Schema.encodeSync(Schema.fromJsonString(Routing))
export const encodeSaved = Schema.encodeSync(Schema.fromJsonString(Saved))

export const jobOf = (row: unknown): Effect.Effect<Job> =>
  Effect.map(decodeSeen(row), (row): Job => ({
    jobId: row.job_id,
    synthesisId: row.synthesis_id,
    tenantId: row.tenant_id,
    userId: row.user_id,
    voiceId: row.voice_id,
    status: row.status,
    statusReason: row.status_reason,
    errorCode: row.error_code,
    characters: row.characters,
    attempts: row.attempts,
    revision: row.revision,
    segmentsDone: row.segments_done,
    segmentsTotal: row.segments_total,
    charactersDone: row.characters_done,
    audioMs: row.audio_duration_ms ?? 0,
    backendUsed: row.backend_used,
    audioUri: row.audio_uri,
    saved: row.saved,
    callback: row.callback_status === null ? null : {
      url: row.callback_url,
      status: row.callback_status,
      attempts: row.callback_attempts,
      lastError: row.callback_error
    },
    createdAt: row.created_at,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    expiresAt: row.expires_at
  }))

/** The row of an id: its key, which also names its partition. Undefined: no id of ours, so no row. */
export const at = (sql: SqlClient.SqlClient, jobId: JobId): Statement.Fragment => {
  const millis = millisOf(jobId)
  return millis === undefined ? sql`1 = 0` : sql`job_id = ${jobId} AND created_on = ${dayOf(millis)}`
}
