/**
 * The ledger of consents: who agreed to the cloning of which voice, in which words, and whether that still holds.
 *
 * Every grant, revocation and erasure adds an event to the tenant's chain (`domain/Consent.ts`), in the transaction that
 * does it. Appending locks the tenant's head, so that events are numbered without gap or fork however many come at once.
 *
 * What the chain cannot show: its hashes need no key, so whoever can write every table can drop the last events, set the
 * head back and adjust the rest, or make up a whole chain. That shows only against a head that was kept elsewhere: each
 * one is logged as it comes to be, and {@link Verification} tells it, to be noted down and compared.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { randomBytes } from "node:crypto"
import { canonicalGrant, canonicalRevocation } from "../domain/Consent.ts"
import type { ChainHead, Consent, ConsentDetails, Origin } from "../domain/Consent.ts"
import { InvalidRequest, PermissionDenied, VoiceNotFound } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { ConsentId, TenantId, VoiceId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { consentRevoked, isVisibleTo } from "../domain/Voice.ts"
import type { VoiceConsent } from "../domain/Voice.ts"
import { append, sha256 } from "./Consents/Chain.ts"
import { consentOf, selectConsent } from "./Consents/ConsentRow.ts"
import type { ConsentRow } from "./Consents/ConsentRow.ts"
import { verify } from "./Consents/Verify.ts"
import { orUnavailable } from "./Database.ts"
import { makeId } from "./Ids.ts"
import { RunningVoices } from "./RunningVoices.ts"
import { affected } from "./sql/Dialect.ts"
import { columns, decode, encode } from "./sql/VoiceRow.ts"

export interface NewConsent extends Omit<ConsentDetails, "textSha256"> {
  readonly tenantId: TenantId
  readonly voiceId: VoiceId
}

export interface Verification {
  readonly intact: boolean
  /** Events that were read and hold. */
  readonly events: number
  /** The last event, to be noted down outside of the database. */
  readonly head: ChainHead
  /** The first event that does not hold, or whose consent does not fit it; 0 when it is none in particular. */
  readonly brokenAt?: { readonly seq: number; readonly reason: string }
}

export class Consents extends Context.Service<Consents, {
  /**
   * Records a consent, and returns what the voice's row says of it. Joins the transaction that it is called in, which is to
   * write that row, too.
   */
  readonly grant: (consent: NewConsent) => Effect.Effect<VoiceConsent, StorageUnavailable>
  /**
   * Takes the consent of a voice back, for its owner or an administrator of its tenant. When this returns, the voice's
   * calls have ended here and every process has been told. Again and again has the same answer, and tells them again.
   * Never to be called inside of a transaction.
   */
  readonly revoke: (
    caller: AuthUser,
    voiceId: VoiceId,
    origin: Omit<Origin, "userId">
  ) => Effect.Effect<Consent, VoiceNotFound | PermissionDenied | InvalidRequest | StorageUnavailable>
  readonly find: (tenantId: TenantId, consentId: ConsentId) => Effect.Effect<Consent | undefined, StorageUnavailable>
  /** Deletes what names a person in the consent; the chain stays verifiable. Idempotent. Joins a transaction. */
  readonly erase: (tenantId: TenantId, consentId: ConsentId) => Effect.Effect<void, StorageUnavailable>
  /** Recomputes the tenant's chain and holds every consent against it. */
  readonly verify: (tenantId: TenantId) => Effect.Effect<Verification, StorageUnavailable>
}>()("scaispeak/Consents") {
  static readonly layer = Layer.effect(
    Consents,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const running = yield* RunningVoices
      const inTransaction = <A, E>(effect: Effect.Effect<A, E, SqlClient.SqlClient>) =>
        orUnavailable(sql.withTransaction(Effect.provideService(effect, SqlClient.SqlClient, sql)))

      const find = (tenantId: TenantId, consentId: ConsentId) =>
        Effect.map(selectConsent(sql, tenantId, consentId), ([row]) => row)

      const grant = Effect.fn("Consents.grant")(function*({ tenantId, voiceId, ...given }: NewConsent) {
        const consentId = yield* makeId("cns")
        const details = { ...given, textSha256: sha256(given.text) }
        const salt = randomBytes(32).toString("hex")
        const at = yield* Clock.currentTimeMillis
        yield* append({
          tenantId,
          event: "granted",
          consentId,
          voiceId,
          at,
          detailsSha256: sha256(canonicalGrant(salt, consentId, details))
        })
        yield* sql`INSERT INTO consents ${
          sql.insert({
            consent_id: consentId,
            tenant_id: tenantId,
            voice_id: voiceId,
            status: "active",
            granted_at: at
          })
        }`
        yield* sql`INSERT INTO consent_details ${
          sql.insert({
            consent_id: consentId,
            salt,
            full_name: details.fullName,
            stated_purpose: details.statedPurpose,
            consent_text: details.text,
            text_sha256: details.textSha256,
            audio_key: details.audioKey,
            audio_sha256: details.audioSha256,
            alignment_json: details.alignment && JSON.stringify(details.alignment),
            granted_by: details.granted.userId,
            granted_request: details.granted.requestId,
            granted_ip: details.granted.ip,
            granted_user_agent: details.granted.userAgent
          })
        }`
        return { consentId, status: "active" as const, statedPurpose: details.statedPurpose }
      }, inTransaction)

      /** Null when it was revoked before. */
      const recordRevocation = Effect.fnUntraced(function*(row: ConsentRow, origin: Origin) {
        const { consent_id, tenant_id, voice_id } = row
        const at = yield* Clock.currentTimeMillis
        const changed = yield* affected(sql`UPDATE consents SET status = 'revoked', revoked_at = ${at}
          WHERE consent_id = ${consent_id} AND status = 'active'`)
        if (changed === 0) return
        yield* sql`UPDATE consent_details SET revoked_by = ${origin.userId}, revoked_request = ${origin.requestId},
          revoked_ip = ${origin.ip}, revoked_user_agent = ${origin.userAgent} WHERE consent_id = ${consent_id}`
        yield* append({
          tenantId: tenant_id,
          event: "revoked",
          consentId: consent_id,
          voiceId: voice_id,
          at,
          detailsSha256: row.salt === null ? "" : sha256(canonicalRevocation(row.salt, consent_id, origin))
        })
      })

      const revokeRows = Effect.fn("Consents.revoke")(function*(caller: AuthUser, voiceId: VoiceId, origin: Origin) {
        const [found] = yield* sql`SELECT ${sql.literal(columns("voices"))} FROM voices
          WHERE voice_id = ${voiceId} AND (tenant_id = ${caller.tenantId} OR scope = 'global')`
        const voice = found === undefined ? undefined : yield* decode(found)
        const isAdmin = voice?.tenantId === caller.tenantId && caller.permissions.has("scaispeak:admin")
        if (voice === undefined || !(isAdmin || isVisibleTo(voice, caller))) return yield* new VoiceNotFound()
        const isOwner = voice.tenantId === caller.tenantId && voice.ownerUserId === caller.userId
        if (!isOwner && !isAdmin) return yield* new PermissionDenied({ permission: "scaispeak:admin" })
        if (voice.consent === null) return yield* InvalidRequest.field("voice_id", "this voice stands on no consent")
        const { consentId } = voice.consent
        const [row] = yield* selectConsent(sql, caller.tenantId, consentId)
        if (row === undefined) return yield* Effect.die(new Error(`${voiceId} stands on a consent that is not there.`))
        yield* recordRevocation(row, origin)
        const { consent_json } = encode({ ...voice, consent: { ...voice.consent, status: "revoked" } })
        yield* sql`UPDATE voices SET consent_json = ${consent_json}, updated_at = ${yield* Clock.currentTimeMillis}
          WHERE voice_id = ${voiceId} AND consent_json <> ${consent_json}`
        const [after] = yield* selectConsent(sql, caller.tenantId, consentId)
        return consentOf(after!)
      }, inTransaction)

      const erase = Effect.fn("Consents.erase")(function*(tenantId: TenantId, consentId: ConsentId) {
        const at = yield* Clock.currentTimeMillis
        const changed = yield* affected(sql`UPDATE consents SET erased_at = ${at}
          WHERE consent_id = ${consentId} AND tenant_id = ${tenantId} AND erased_at IS NULL`)
        if (changed === 0) return
        const row = yield* find(tenantId, consentId)
        yield* sql`DELETE FROM consent_details WHERE consent_id = ${consentId}`
        yield* append({ tenantId, event: "erased", consentId, voiceId: row!.voice_id, at, detailsSha256: "" })
      }, inTransaction)

      return Consents.of({
        grant,
        revoke: (caller, voiceId, origin) =>
          Effect.tap(
            revokeRows(caller, voiceId, { ...origin, userId: caller.userId }),
            () => running.stop(voiceId, consentRevoked)
          ),
        find: (tenantId, consentId) =>
          orUnavailable(Effect.map(find(tenantId, consentId), (row) => row && consentOf(row))),
        erase,
        verify: (tenantId) => orUnavailable(verify(sql, tenantId))
      })
    })
  )
}
