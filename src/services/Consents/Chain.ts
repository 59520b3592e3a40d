/** Adds an event to a tenant's chain, in the transaction that it is called in. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { createHash } from "node:crypto"
import { canonicalEvent, chainStart } from "../../domain/Consent.ts"
import type { ConsentEvent } from "../../domain/Consent.ts"
import { keepExisting } from "../sql/Dialect.ts"

/** Of the text as UTF-8, in lower-case hex. */
export const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

/**
 * Holds the tenant's head until the transaction ends, so that the next event comes after this one or not at all. The head
 * is the only row that two appends have in common, so they wait for each other and never lock crosswise.
 */
export const append = Effect.fnUntraced(function*(
  { tenantId, ...rest }: Omit<ConsentEvent, "seq" | "previousHash">
) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`INSERT INTO consent_chains ${sql.insert({ tenant_id: tenantId, seq: 0, hash: chainStart })} ${
    keepExisting(sql, "tenant_id")
  }`
  // In SQLite a transaction has the only write lock from its beginning.
  const locked = sql.onDialectOrElse({ mysql: () => sql.literal("FOR UPDATE"), orElse: () => sql.literal("") })
  const [head] = yield* sql<{ readonly seq: number; readonly hash: string }>`
    SELECT seq, hash FROM consent_chains WHERE tenant_id = ${tenantId} ${locked}`
  const event: ConsentEvent = { tenantId, ...rest, seq: Number(head!.seq) + 1, previousHash: head!.hash }
  const hash = sha256(canonicalEvent(event))
  yield* sql`INSERT INTO consent_events ${
    sql.insert({
      tenant_id: tenantId,
      seq: event.seq,
      event: event.event,
      consent_id: event.consentId,
      voice_id: event.voiceId,
      at: event.at,
      details_sha256: event.detailsSha256,
      previous_hash: event.previousHash,
      hash
    })
  }`
  yield* sql`UPDATE consent_chains SET seq = ${event.seq}, hash = ${hash} WHERE tenant_id = ${tenantId}`
  // A witness outside of the database. When the transaction fails after all, the number is logged again for another event.
  yield* Effect.logInfo("consent recorded", {
    tenant_id: tenantId,
    consent_id: event.consentId,
    event: event.event,
    seq: event.seq,
    hash
  })
})
