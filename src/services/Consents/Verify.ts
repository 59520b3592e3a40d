/**
 * Reads a tenant's chain from its beginning and says where it breaks; then whether the consents that calls go by are what
 * the chain says of them. Holds no lock: what is added while it reads is left for the next time.
 */
import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import { breakAt, canonicalGrant, canonicalRevocation, chainStart } from "../../domain/Consent.ts"
import type { ChainHead, StoredEvent } from "../../domain/Consent.ts"
import type { TenantId } from "../../domain/Ids.ts"
import type { Verification } from "../Consents.ts"
import { sha256 } from "./Chain.ts"
import { detailsColumns, detailsOf } from "./ConsentRow.ts"
import type { MaybeDetails } from "./ConsentRow.ts"

/** Events read at once. */
const pageRows = 500

export const verify = Effect.fn("Consents.verify")(function*(sql: SqlClient.SqlClient, tenantId: TenantId) {
  const [stored] = yield* sql<{ readonly seq: number | null; readonly hash: string | null; readonly last: number }>`
    SELECT h.seq, h.hash, e.last FROM (
      SELECT COALESCE(MAX(seq), 0) AS last FROM consent_events WHERE tenant_id = ${tenantId}
    ) e LEFT JOIN consent_chains h ON h.tenant_id = ${tenantId}`
  const head = { seq: Number(stored!.seq ?? 0), hash: stored!.hash ?? chainStart }
  let before: ChainHead = { seq: 0, hash: chainStart }
  const broken = (seq: number, reason: string): Verification => ({
    intact: false,
    events: before.seq,
    head,
    brokenAt: { seq, reason }
  })

  while (before.seq < head.seq) {
    const rows = yield* sql<EventRow>`SELECT e.seq, e.event, e.consent_id, e.voice_id, e.at, e.details_sha256,
        e.previous_hash, e.hash, ${sql.literal(detailsColumns)}
      FROM consent_events e LEFT JOIN consent_details d ON d.consent_id = e.consent_id
      WHERE e.tenant_id = ${tenantId} AND e.seq > ${before.seq} AND e.seq <= ${head.seq}
      ORDER BY e.seq LIMIT ${pageRows}`
    if (rows.length === 0) return broken(before.seq + 1, "the chain ends before its head")
    for (const row of rows) {
      const event = storedEvent(tenantId, row)
      const reason = breakAt(before, event, sha256)
      if (reason !== undefined) return broken(before.seq + 1, reason)
      before = { seq: event.seq, hash: event.hash }
    }
  }
  if (before.hash !== head.hash) return broken(head.seq, "the head is another event's")
  if (Number(stored!.last) !== head.seq) return broken(head.seq + 1, "there are events after the head")

  // Each of these is one statement, so that a consent is never seen half-way through a change.
  for (const [reason, rows] of misfits(sql, tenantId)) {
    const [row] = yield* rows
    if (row !== undefined) return broken(Number(row.seq ?? 0), reason)
  }
  return { intact: true, events: before.seq, head } satisfies Verification
})

type EventRow = {
  readonly seq: number
  readonly event: "granted" | "revoked" | "erased"
  readonly consent_id: string
  readonly voice_id: string
  readonly at: number
  readonly details_sha256: string
  readonly previous_hash: string
  readonly hash: string
} & MaybeDetails

const storedEvent = (tenantId: TenantId, row: EventRow): StoredEvent => ({
  tenantId,
  seq: Number(row.seq),
  event: row.event,
  consentId: row.consent_id,
  voiceId: row.voice_id,
  at: Number(row.at),
  detailsSha256: row.details_sha256,
  previousHash: row.previous_hash,
  hash: row.hash,
  detailsNow: detailsNow(row)
})

/** What the event's details hash to as they lie there now. A revocation after an erasure says nothing of persons. */
const detailsNow = (row: EventRow): string | undefined => {
  if (row.salt === null || row.event === "erased") return undefined
  if (row.event === "granted") return sha256(canonicalGrant(row.salt, row.consent_id, detailsOf(row)))
  const { revoked_by, revoked_ip, revoked_request, revoked_user_agent } = row
  return revoked_by === null || revoked_request === null
    ? ""
    : sha256(
      canonicalRevocation(row.salt, row.consent_id, {
        userId: revoked_by,
        requestId: revoked_request,
        ip: revoked_ip,
        userAgent: revoked_user_agent
      })
    )
}

/** Consents that the chain says something else of. */
const misfits = (sql: SqlClient.SqlClient, tenantId: TenantId) => {
  const event = (kind: string) =>
    sql`SELECT seq FROM consent_events x WHERE x.tenant_id = ${tenantId} AND x.consent_id = c.consent_id AND x.event = ${kind}`
  const consents = (where: ReturnType<typeof event>) =>
    sql<{ readonly seq: number | null }>`SELECT (${event("granted")}) AS seq FROM consents c
      LEFT JOIN consent_details d ON d.consent_id = c.consent_id
      LEFT JOIN voices v ON v.voice_id = c.voice_id
      WHERE c.tenant_id = ${tenantId} AND (${where}) LIMIT 1`
  return [
    ["a consent is there that was never granted", consents(sql`NOT EXISTS (${event("granted")})`)],
    [
      "a consent is gone",
      sql<{ readonly seq: number }>`SELECT seq FROM consent_events e WHERE tenant_id = ${tenantId} AND event = 'granted'
        AND NOT EXISTS (SELECT 1 FROM consents c WHERE c.consent_id = e.consent_id AND c.tenant_id = e.tenant_id
          AND c.voice_id = e.voice_id AND c.granted_at = e.at) LIMIT 1`
    ],
    [
      "a revocation is not what the consent says",
      consents(sql`(c.status = 'revoked') <> EXISTS (${event("revoked")})`)
    ],
    [
      "an erasure is not what the consent says",
      consents(sql`(c.erased_at IS NOT NULL) <> EXISTS (${event("erased")})`)
    ],
    ["the details of a consent are gone", consents(sql`(d.consent_id IS NULL) <> EXISTS (${event("erased")})`)],
    [
      "a voice goes on after its consent was revoked",
      consents(sql`EXISTS (${event("revoked")}) AND v.consent_json LIKE ${"%\"active\"%"}
        AND v.consent_json LIKE CONCAT('%', c.consent_id, '%')`)
    ]
  ] as const
}
