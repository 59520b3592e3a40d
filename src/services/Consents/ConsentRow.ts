/** A consent with its details, as the tables keep them. */
import type { SqlClient } from "effect/sql"
import type { Consent, ConsentDetails } from "../../domain/Consent.ts"
import type { ConsentAlignment } from "../../domain/ConsentAlignment.ts"
import type { ConsentId, TenantId, UserId, VoiceId } from "../../domain/Ids.ts"

/** Null altogether once erased. */
export interface DetailsRow {
  readonly salt: string
  readonly full_name: string
  readonly stated_purpose: string
  readonly consent_text: string
  readonly text_sha256: string
  readonly audio_key: string
  readonly audio_sha256: string
  readonly alignment_json: string | null
  readonly granted_by: UserId
  readonly granted_request: string
  readonly granted_ip: string | null
  readonly granted_user_agent: string | null
  readonly revoked_by: UserId | null
  readonly revoked_request: string | null
  readonly revoked_ip: string | null
  readonly revoked_user_agent: string | null
}

export type MaybeDetails = DetailsRow | { readonly [K in keyof DetailsRow]: null }

export type ConsentRow = {
  readonly consent_id: ConsentId
  readonly tenant_id: TenantId
  readonly voice_id: VoiceId
  readonly status: "active" | "revoked"
  readonly granted_at: number
  readonly revoked_at: number | null
  readonly erased_at: number | null
} & MaybeDetails

export const detailsColumns = "d.salt, d.full_name, d.stated_purpose, d.consent_text, d.text_sha256, d.audio_key, " +
  "d.audio_sha256, d.alignment_json, d.granted_by, d.granted_request, d.granted_ip, d.granted_user_agent, d.revoked_by, " +
  "d.revoked_request, d.revoked_ip, d.revoked_user_agent"

export const selectConsent = (sql: SqlClient.SqlClient, tenantId: TenantId, consentId: ConsentId) =>
  sql<ConsentRow>`SELECT c.consent_id, c.tenant_id, c.voice_id, c.status, c.granted_at, c.revoked_at, c.erased_at,
      ${sql.literal(detailsColumns)}
    FROM consents c LEFT JOIN consent_details d ON d.consent_id = c.consent_id
    WHERE c.consent_id = ${consentId} AND c.tenant_id = ${tenantId}`

export const detailsOf = (row: DetailsRow): ConsentDetails => ({
  fullName: row.full_name,
  statedPurpose: row.stated_purpose,
  text: row.consent_text,
  textSha256: row.text_sha256,
  audioKey: row.audio_key,
  audioSha256: row.audio_sha256,
  alignment: row.alignment_json === null ? null : JSON.parse(row.alignment_json) as ConsentAlignment,
  granted: {
    userId: row.granted_by,
    requestId: row.granted_request,
    ip: row.granted_ip,
    userAgent: row.granted_user_agent
  }
})

export const consentOf = (row: ConsentRow): Consent => ({
  consentId: row.consent_id,
  tenantId: row.tenant_id,
  voiceId: row.voice_id,
  status: row.status,
  grantedAt: row.granted_at,
  revokedAt: row.revoked_at,
  erasedAt: row.erased_at,
  details: row.salt === null ? null : detailsOf(row)
})
