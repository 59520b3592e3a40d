/** The ledger of consents on both databases: what it keeps, and that nothing can be changed in it without showing. */
import { layer } from "@effect/vitest"
import { Effect, Layer, Logger, Schema } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import type { VoiceId } from "../../src/domain/Ids.ts"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { granted } from "../../src/domain/Permission.ts"
import type { AuthUser, Role } from "../../src/domain/Permission.ts"
import type { Voice } from "../../src/domain/Voice.ts"
import { Consents } from "../../src/services/Consents.ts"
import { makeId } from "../../src/services/Ids.ts"
import { RunningVoices } from "../../src/services/RunningVoices.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { voice } from "../layers/voices.ts"
import { sqlLayers } from "./sqlLayers.ts"

const text = "I, Ada Lovelace, agree that my voice is cloned. „Ja“ 🦜"
const hex = (of: string) => createHash("sha256").update(of).digest("hex")

const user = (tenantId: string, userId: string, role: Role = "tenant_user"): AuthUser => ({
  tenantId: TenantId.make(tenantId),
  userId: UserId.make(userId),
  role,
  permissions: new Set(role === "tenant_user" ? ["scaispeak:voice.write"] : granted[role]),
  credential: { kind: "jwt" }
})

/** A voice and its consent, as an intake leaves them. */
const consented = Effect.fnUntraced(function*(owner: AuthUser, fields: Partial<Voice> = {}) {
  const sql = yield* SqlClient.SqlClient
  const consents = yield* Consents
  const voiceId = yield* makeId("vox")
  return yield* sql.withTransaction(Effect.gen(function*() {
    const consent = yield* consents.grant({
      tenantId: owner.tenantId,
      voiceId,
      text,
      fullName: "Ada Lovelace",
      statedPurpose: "audiobooks",
      audioKey: `scaispeak/voices/${voiceId}/consent.wav`,
      audioSha256: hex("audio"),
      alignment: null,
      granted: { userId: owner.userId, requestId: "req_1", ip: "192.0.2.1", userAgent: "curl/8" }
    })
    const { tenantId, userId: ownerUserId } = owner
    const made = voice({ voiceId, scope: "user", kind: "cloned", tenantId, ownerUserId, consent, ...fields })
    yield* sql`INSERT INTO voices ${sql.insert(encode(made))}`
    return { voiceId, consentId: consent.consentId }
  }))
})

const from = { requestId: "req_2", ip: null, userAgent: "browser" }
const revoke = (caller: AuthUser, voiceId: VoiceId) => Consents.use((it) => it.revoke(caller, voiceId, from))
const verify = ({ tenantId }: AuthUser) => Consents.use((it) => it.verify(tenantId))

/** Every way in which rows can be tampered with, on a chain of six events: 1 to 4 granted, 2 revoked, 1 erased. */
type Tamper = (sql: SqlClient.SqlClient, tenant: string) => ReadonlyArray<Effect.Effect<unknown, unknown>>
const tampering: Record<string, readonly [tamper: Tamper, seq: number]> = {
  "another name": [(sql, t) => [
    sql`UPDATE consent_details SET full_name = 'Eve' WHERE consent_id = (
      SELECT consent_id FROM consent_events WHERE tenant_id = ${t} AND seq = 3)`
  ], 3],
  "another text with its hash": [(sql, t) => [
    sql`UPDATE consent_details SET consent_text = 'yes', text_sha256 = ${hex("yes")} WHERE consent_id = (
      SELECT consent_id FROM consent_events WHERE tenant_id = ${t} AND seq = 4)`
  ], 4],
  "another time": [(sql, t) => [sql`UPDATE consent_events SET at = at + 1 WHERE tenant_id = ${t} AND seq = 2`], 2],
  "another revoker": [(sql, t) => [
    sql`UPDATE consent_details SET revoked_by = 'eve' WHERE consent_id = (
      SELECT consent_id FROM consent_events WHERE tenant_id = ${t} AND seq = 5)`
  ], 5],
  "an event deleted": [(sql, t) => [sql`DELETE FROM consent_events WHERE tenant_id = ${t} AND seq = 3`], 3],
  "two events swapped": [(sql, t) => [
    sql`UPDATE consent_events SET seq = 99 WHERE tenant_id = ${t} AND seq = 3`,
    sql`UPDATE consent_events SET seq = 3 WHERE tenant_id = ${t} AND seq = 4`,
    sql`UPDATE consent_events SET seq = 4 WHERE tenant_id = ${t} AND seq = 99`
  ], 3],
  "the tail cut off": [(sql, t) => [sql`DELETE FROM consent_events WHERE tenant_id = ${t} AND seq >= 5`], 5],
  "the tail cut off and the head set back": [(sql, t) => [
    sql`DELETE FROM consent_events WHERE tenant_id = ${t} AND seq >= 5`,
    sql`UPDATE consent_chains SET seq = 4, hash = (
      SELECT hash FROM consent_events WHERE tenant_id = ${t} AND seq = 4) WHERE tenant_id = ${t}`
  ], 2],
  "the head set back": [(sql, t) => [sql`UPDATE consent_chains SET seq = 4 WHERE tenant_id = ${t}`], 4],
  "the head deleted": [(sql, t) => [sql`DELETE FROM consent_chains WHERE tenant_id = ${t}`], 1],
  "a revocation undone": [(sql, t) => [
    sql`UPDATE consents SET status = 'active' WHERE tenant_id = ${t} AND status = 'revoked'`
  ], 2],
  "a voice set free": [(sql, t) => [
    sql`UPDATE voices SET consent_json = REPLACE(consent_json, '"revoked"', '"active"') WHERE tenant_id = ${t}`
  ], 2],
  "a consent deleted": [(sql, t) => [
    sql`DELETE FROM consents WHERE consent_id = (
      SELECT consent_id FROM consent_events WHERE tenant_id = ${t} AND seq = 3)`
  ], 3],
  "details deleted": [(sql, t) => [
    sql`DELETE FROM consent_details WHERE consent_id = (
      SELECT consent_id FROM consent_events WHERE tenant_id = ${t} AND seq = 3)`
  ], 3],
  "a consent made up": [(sql, t) => [
    sql`INSERT INTO consents (consent_id, tenant_id, voice_id, status, granted_at)
      VALUES (${`cns_up_${t}`}, ${t}, 'vox_up', 'active', 1)`
  ], 0]
}

/** The chain that {@link tampering} is done to. */
const sixEvents = Effect.fnUntraced(function*(tenant: string) {
  const owner = user(tenant, "ada")
  const all = yield* Effect.forEach([1, 2, 3, 4], () => consented(owner))
  yield* revoke(owner, all[1]!.voiceId)
  yield* Consents.use((it) => it.erase(owner.tenantId, all[0]!.consentId))
  return owner
})

for (const db of sqlLayers) {
  const services = Consents.layer.pipe(
    Layer.provideMerge(RunningVoices.layer),
    Layer.provideMerge(VoiceRepo.layer),
    Layer.provideMerge(db.layer),
    Layer.provideMerge(Logger.layer([]))
  )
  layer(services, { excludeTestServices: true })(`Consents on ${db.name}`, (it) => {
    it.effect("keeps what was agreed to, by whom and from where", () =>
      Effect.gen(function*() {
        const ada = user("kept", "ada")
        const { consentId, voiceId } = yield* consented(ada)
        const consents = yield* Consents
        const consent = yield* consents.find(ada.tenantId, consentId)
        assert.equal(consent!.status, "active")
        assert.equal(consent!.voiceId, voiceId)
        assert.deepEqual(consent!.details, {
          fullName: "Ada Lovelace",
          statedPurpose: "audiobooks",
          text,
          textSha256: hex(text),
          audioKey: `scaispeak/voices/${voiceId}/consent.wav`,
          audioSha256: hex("audio"),
          alignment: null,
          granted: { userId: "ada", requestId: "req_1", ip: "192.0.2.1", userAgent: "curl/8" }
        })
        assert.equal(yield* consents.find(TenantId.make("other"), consentId), undefined)
        const found = yield* VoiceRepo.use((repo) => repo.find(ada, voiceId))
        assert.deepEqual(found.consent, { consentId, status: "active", statedPurpose: "audiobooks" })
      }))

    it.effect("grants together with the voice or not at all", () =>
      Effect.gen(function*() {
        const ada = user("half", "ada")
        yield* Effect.exit(consented(ada, { scope: "global" }))
        assert.deepEqual(yield* verify(ada), { intact: true, events: 0, head: { seq: 0, hash: "0".repeat(64) } })
        yield* consented(ada)
        assert.equal((yield* verify(ada)).events, 1)
      }))

    it.effect("revokes once, for the owner and for administrators of the tenant alone", () =>
      Effect.gen(function*() {
        const ada = user("rev", "ada")
        const own = yield* consented(ada)
        const shared = yield* consented(ada, { scope: "tenant" })
        const designed = yield* makeId("vox")
        const sql = yield* SqlClient.SqlClient
        const made = { voiceId: designed, scope: "user", tenantId: ada.tenantId, ownerUserId: ada.userId } as const
        yield* sql`INSERT INTO voices ${sql.insert(encode(voice(made)))}`
        const refusals = [
          [user("rev", "bob"), own, "VoiceNotFound"],
          [user("rev", "bob"), shared, "PermissionDenied"],
          [user("other", "eve", "tenant_admin"), own, "VoiceNotFound"],
          [user("other", "eve", "tenant_admin"), shared, "VoiceNotFound"],
          [user("other", "ada"), own, "VoiceNotFound"],
          [ada, { voiceId: designed }, "InvalidRequest"]
        ] as const
        for (const [caller, { voiceId }, tag] of refusals) {
          assert.equal((yield* Effect.flip(revoke(caller, voiceId)))._tag, tag)
        }
        const first = yield* revoke(ada, own.voiceId)
        assert.equal(first.status, "revoked")
        assert.deepEqual(yield* revoke(user("rev", "root", "tenant_admin"), own.voiceId), first)
        yield* revoke(user("rev", "root", "tenant_admin"), shared.voiceId)
        const found = yield* VoiceRepo.use((repo) => repo.find(ada, own.voiceId))
        assert.equal(found.consent!.status, "revoked")
        const verified = yield* verify(ada)
        assert.deepEqual([verified.intact, verified.events], [true, 4])
      }))

    it.effect("makes one chain of 50 grants at once, and of revocations in between", () =>
      Effect.gen(function*() {
        const ada = user("many", "ada")
        const first = yield* Effect.forEach([1, 2, 3, 4, 5], () => consented(ada))
        yield* Effect.all([
          ...Array.from({ length: 50 }, () => consented(ada)),
          ...first.flatMap(({ voiceId }) => [revoke(ada, voiceId), revoke(ada, voiceId)])
        ], { concurrency: "unbounded" })
        const { events, head, intact } = yield* verify(ada)
        assert.deepEqual([intact, events, head.seq], [true, 60, 60])
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql`SELECT COUNT(DISTINCT previous_hash) AS n FROM consent_events WHERE tenant_id = 'many'`
        assert.equal(Number(row!.n), 60, "no two events follow the same one")
      }))

    it.effect("stays verifiable when a person is erased, and keeps nothing of theirs", () =>
      Effect.gen(function*() {
        const ada = user("erased", "ada")
        const { consentId, voiceId } = yield* consented(ada)
        yield* consented(ada)
        const consents = yield* Consents
        yield* consents.erase(ada.tenantId, consentId)
        yield* consents.erase(ada.tenantId, consentId)
        yield* revoke(ada, voiceId)
        const { events, intact } = yield* verify(ada)
        assert.deepEqual([intact, events], [true, 4])
        assert.equal((yield* consents.find(ada.tenantId, consentId))!.details, null)
        const sql = yield* SqlClient.SqlClient
        const left = [
          yield* sql`SELECT * FROM consents WHERE consent_id = ${consentId}`,
          yield* sql`SELECT * FROM consent_events WHERE consent_id = ${consentId}`,
          yield* sql`SELECT * FROM consent_details WHERE consent_id = ${consentId}`
        ]
        for (const personal of ["Lovelace", "ada", "192.0.2.1", hex(text), hex("audio")]) {
          assert.ok(!JSON.stringify(left.flat().map((row) => ({ ...row }))).includes(`"${personal}`), personal)
        }
      }))

    for (const [what, [tamper, seq]] of Object.entries(tampering)) {
      it.effect(`shows tampering: ${what}`, () =>
        Effect.gen(function*() {
          const owner = yield* sixEvents(`t ${what}`)
          const before = yield* verify(owner)
          assert.deepEqual([before.intact, before.events], [true, 6])
          const sql = yield* SqlClient.SqlClient
          yield* Effect.all(tamper(sql, owner.tenantId), { discard: true })
          const after = yield* verify(owner)
          assert.equal(after.intact, false)
          assert.equal(after.brokenAt!.seq, seq, after.brokenAt!.reason)
        }))
    }

    it.effect("cannot show a tail that was cut off everywhere, unless its head was noted down", () =>
      Effect.gen(function*() {
        const owner = yield* sixEvents("cut")
        const noted = (yield* verify(owner)).head
        yield* consented(owner)
        const later = (yield* verify(owner)).head
        const sql = yield* SqlClient.SqlClient
        const [last] = yield* sql<{ consent_id: string }>`
          SELECT consent_id FROM consent_events WHERE tenant_id = 'cut' AND seq = 7`
        for (const table of ["consent_events", "consent_details", "consents"]) {
          yield* sql`DELETE FROM ${sql(table)} WHERE consent_id = ${last!.consent_id}`
        }
        yield* sql`UPDATE consent_chains SET ${sql.update({ ...noted })} WHERE tenant_id = 'cut'`
        const after = yield* verify(owner)
        assert.equal(after.intact, true)
        assert.notDeepEqual(after.head, later, "the head that was noted down is not there any more")
      }))

    it.effect.prop(
      "shows any change of any field of any event",
      [
        Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 })),
        Schema.Literals(["event", "consent_id", "voice_id", "at", "details_sha256", "previous_hash", "hash", "seq"]),
        Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))
      ],
      ([seq, column, salt]) =>
        Effect.gen(function*() {
          const tenant = `p ${yield* makeId("req")}`
          const owner = yield* sixEvents(tenant)
          const sql = yield* SqlClient.SqlClient
          const [event] = yield* sql<Record<string, unknown>>`
            SELECT * FROM consent_events WHERE tenant_id = ${tenant} AND seq = ${seq}`
          const was = event![column]
          const now = typeof was === "number"
            ? was + 100 + salt
            : column === "event"
            ? ["granted", "revoked", "erased"].filter((one) => one !== was)[salt % 2]
            : column.endsWith("_id")
            ? `${was}${salt}`
            : hex(`${was}${salt}`)
          // The table itself refuses a consent that is granted twice.
          yield* Effect.ignore(
            sql`UPDATE consent_events SET ${sql(column)} = ${now} WHERE tenant_id = ${tenant} AND seq = ${seq}`
          )
          const [changed] = yield* sql`SELECT * FROM consent_events WHERE tenant_id = ${tenant} AND seq = ${seq}`
          const { intact } = yield* verify(owner)
          assert.equal(intact, changed !== undefined && changed[column] === was)
        }),
      { arbitrary: { runs: 40 } }
    )
  })
}
