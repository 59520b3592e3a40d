/** Erasures and their audit as their tables keep them. */
import { Effect, Schema } from "effect"
import type { SqlClient } from "effect/sql"
import { Erasure, ErasureAudit } from "../../domain/Erasure.ts"
import { ErasureId, TenantId, UserId, VoiceId } from "../../domain/Ids.ts"
import { VoiceScope } from "../../domain/Voice.ts"

/** A voice as it was, as far as it has to be known to erase it. */
export const VoiceSubject = Schema.Struct({
  voiceId: VoiceId,
  scope: VoiceScope,
  tenantId: Schema.NullOr(TenantId),
  ownerUserId: Schema.NullOr(UserId),
  /** SHA-256 of what caches know its clip by. */
  clips: Schema.Array(Schema.String)
})
export type VoiceSubject = typeof VoiceSubject.Type

/** A person in a tenant. */
export const UserSubject = Schema.Struct({ tenantId: TenantId, userId: UserId })
export type UserSubject = typeof UserSubject.Type

const counts = Schema.fromJsonString(Erasure.fields.counts)

const Row = Schema.Struct({ ...Erasure.fields, counts }).pipe(Schema.encodeKeys({
  erasureId: "erasure_id",
  counts: "counts_json",
  requestedAt: "requested_at",
  doneAt: "done_at"
}))

const AuditRow = Schema.Struct({ ...ErasureAudit.fields, counts }).pipe(Schema.encodeKeys({
  erasureId: "erasure_id",
  requestedBySha256: "requested_by_sha256",
  counts: "counts_json",
  requestedAt: "requested_at",
  doneAt: "done_at"
}))

export const erasureColumns = Object.keys(Row.from.fields).join(", ")
export const auditColumns = Object.keys(AuditRow.from.fields).join(", ")

const decoded = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownEffect(schema)
  return (row: unknown) => Effect.orDie(decode(row))
}

export const decodeErasure = decoded(Row)
export const decodeAudit = decoded(AuditRow)

const decodeSubject = decoded(Schema.Struct({ subject_json: Schema.fromJsonString(VoiceSubject) }))
export const decodeVoiceSubject = (row: unknown) => Effect.map(decodeSubject(row), (row) => row.subject_json)

/** The subject of the voice's erasure, as long as that is under way. */
export const pendingErasure = (sql: SqlClient.SqlClient, voiceId: VoiceId) =>
  sql`SELECT subject_json FROM erasures WHERE kind = 'voice' AND subject = ${voiceId} AND state = 'pending'`

/** What a worker needs of an erasure that is due. */
export const Work = Schema.Struct({
  erasure_id: ErasureId,
  tenant_id: TenantId,
  kind: Erasure.fields.kind,
  subject: Schema.String,
  subject_json: Schema.fromJsonString(Schema.Union([VoiceSubject, UserSubject])),
  state: Schema.Literals(["pending", "done"]),
  requested_by_sha256: Schema.String,
  requested_at: Schema.Number,
  attempts: Schema.Natural,
  counts_json: counts,
  due_at: Schema.Number
})
export type Work = typeof Work.Type
export const workColumns = Object.keys(Work.fields).join(", ")
export const decodeWork = decoded(Work)
