import { layer } from "@effect/vitest"
import { DateTime, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { ApiKeyId, PartnerId, TenantId, UserId } from "../../src/domain/Ids.ts"
import { isSuperAdmin } from "../../src/domain/Permission.ts"
import type { Permission, Role } from "../../src/domain/Permission.ts"
import { ApiKeys } from "../../src/services/ApiKeys.ts"
import type { NewApiKey, Owner } from "../../src/services/ApiKeys.ts"
import { apart, sqlLayers } from "./sqlLayers.ts"

const owner = (role: Role, fields: Partial<Owner> = {}): Owner => ({
  tenantId: TenantId.make("acme"),
  userId: UserId.make(`a ${role}`),
  role,
  ...fields
})
const create = (options: Partial<NewApiKey> = {}) =>
  ApiKeys.use((keys) =>
    keys.create({ name: "test", owner: owner("tenant_user"), permissions: ["scaispeak:synthesize"], ...options })
  )
const authenticate = (key: Redacted.Redacted) => ApiKeys.use((keys) => keys.authenticate(key))
const revoke = (tenant: string, keyId: ApiKeyId) => ApiKeys.use((keys) => keys.revoke(TenantId.make(tenant), keyId))
const list = (tenant: string) => ApiKeys.use((keys) => keys.list(TenantId.make(tenant)))
const bootstrap = (key: Redacted.Redacted) => ApiKeys.use((keys) => keys.ensureBootstrap(key))
const randomKey = () => Redacted.make(`sgk_${createHash("sha256").update(`${Math.random()}`).digest("base64url")}`)
const refused = (key: Redacted.Redacted) =>
  Effect.map(Effect.flip(authenticate(key)), (failure) => assert.equal(failure._tag, "TokenInvalid"))

/** The same call from another process: one with a memory of its own. */
const elsewhere = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, apart(ApiKeys.layer))

for (const db of sqlLayers) {
  layer(ApiKeys.layer.pipe(Layer.provideMerge(db.layer)))(`ApiKeys on ${db.name}`, (it) => {
    it.effect("makes keys that say who calls, and stores nothing but their hash", () =>
      Effect.gen(function*() {
        const mine = owner("tenant_admin", { partnerId: PartnerId.make("partner") })
        const { key, record } = yield* create({ name: "🔑 ünïcode", owner: mine })
        assert.match(Redacted.value(key), /^sgk_[\w-]{43}$/u)
        assert.doesNotMatch(JSON.stringify({ key, record }), new RegExp(Redacted.value(key), "u"))
        assert.deepEqual(yield* authenticate(key), {
          ...mine,
          permissions: new Set(["scaispeak:synthesize"]),
          credential: { kind: "apiKey", keyId: record.keyId }
        })
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql`SELECT * FROM api_keys WHERE key_id = ${record.keyId}`
        assert.equal(row?.sha256, createHash("sha256").update(Redacted.value(key)).digest("hex"))
        assert.doesNotMatch(JSON.stringify(row), new RegExp(Redacted.value(key).slice(4), "u"))
        assert.deepEqual(yield* ApiKeys.use((keys) => keys.owner(mine.tenantId, mine.userId)), mine)
        assert.equal(yield* ApiKeys.use((keys) => keys.owner(mine.tenantId, UserId.make("nobody"))), undefined)
      }))

    it.effect("puts on a key only what its owner's role may be given", () =>
      Effect.gen(function*() {
        const cases: ReadonlyArray<readonly [Role, Permission, boolean]> = [
          ["super_admin", "scaispeak:admin", true],
          ["tenant_admin", "scaispeak:admin", true],
          ["tenant_user", "scaispeak:synthesize", true],
          ["tenant_user", "scaispeak:voice.share", true],
          ["tenant_user", "scaispeak:admin", false],
          ["tenant_viewer", "scaispeak:voice.read", true],
          ["tenant_viewer", "scaispeak:synthesize", false]
        ]
        for (const [role, permission, allowed] of cases) {
          const made = yield* Effect.result(create({ owner: owner(role), permissions: [permission] }))
          assert.equal(made._tag, allowed ? "Success" : "Failure", `${role} ${permission}`)
          if (made._tag === "Failure" && "details" in made.failure) {
            assert.equal(made.failure.details[0]?.field, "permissions")
          }
        }
      }))

    it.effect("takes from a key what its owner has lost since", () =>
      Effect.gen(function*() {
        const userId = UserId.make("demoted")
        const { key } = yield* create({
          owner: owner("tenant_admin", { userId }),
          permissions: ["scaispeak:admin", "scaispeak:voice.read"]
        })
        assert.ok((yield* authenticate(key)).permissions.has("scaispeak:admin"))
        yield* create({ owner: owner("tenant_viewer", { userId }), permissions: [] })
        const { permissions, role } = yield* authenticate(key)
        assert.equal(role, "tenant_viewer")
        assert.deepEqual([...permissions], ["scaispeak:voice.read"])
      }))

    it.effect("refuses a revoked key at once here, and within five seconds elsewhere", () =>
      Effect.gen(function*() {
        const { key, record } = yield* create()
        yield* authenticate(key)
        yield* elsewhere(Effect.gen(function*() {
          yield* authenticate(key)
          yield* Effect.provide(revoke("acme", record.keyId), apart(ApiKeys.layer))
          yield* authenticate(key)
          yield* TestClock.adjust("5 seconds")
          yield* refused(key)
        }))
        yield* refused(key)
        const { key: second, record: other } = yield* create()
        yield* authenticate(second)
        yield* revoke("acme", other.keyId)
        yield* refused(second)
        assert.equal((yield* Effect.flip(revoke("acme", other.keyId)))._tag, "ApiKeyNotFound")
      }))

    it.effect("revokes and lists within the tenant alone", () =>
      Effect.gen(function*() {
        const tenantId = TenantId.make("own")
        const { key, record } = yield* create({ owner: owner("tenant_user", { tenantId }) })
        assert.equal((yield* Effect.flip(revoke("acme", record.keyId)))._tag, "ApiKeyNotFound")
        yield* authenticate(key)
        assert.deepEqual(yield* list("own"), [record])
        assert.deepEqual(yield* list("own "), [])
        yield* revoke("own", record.keyId)
        assert.deepEqual(yield* list("own"), [])
      }))

    it.effect("refuses a key from the moment it expires, also while it is remembered", () =>
      Effect.gen(function*() {
        const { key } = yield* create({ expiresAt: DateTime.add(yield* DateTime.now, { seconds: 2 }) })
        yield* authenticate(key)
        yield* TestClock.adjust(1_999)
        yield* authenticate(key)
        yield* TestClock.adjust(1)
        yield* refused(key)
      }))

    it.effect("refuses what is no key, and remembers good keys however many are guessed", () =>
      Effect.gen(function*() {
        for (const text of ["", "sgk_", "sgk_' OR 1=1 --", "Bearer x"]) yield* refused(Redacted.make(text))
        const { key, record } = yield* create()
        yield* authenticate(key)
        const sql = yield* SqlClient.SqlClient
        yield* sql`UPDATE api_keys SET revoked_at = 1 WHERE key_id = ${record.keyId}`
        for (let i = 0; i < 1_500; i++) yield* refused(randomKey())
        // Still from memory: the database knows better.
        yield* authenticate(key)
        yield* TestClock.adjust("5 seconds")
        yield* refused(key)
      }))

    it.effect("notes the last use of keys, some seconds behind", () =>
      Effect.gen(function*() {
        const tenantId = TenantId.make("used")
        const { key } = yield* create({ owner: owner("tenant_user", { tenantId }) })
        const used = DateTime.toEpochMillis(yield* DateTime.now)
        yield* elsewhere(authenticate(key))
        const [record] = yield* list("used")
        assert.equal(record?.lastUsedAt && DateTime.toEpochMillis(record.lastUsedAt), used)
      }))
  })

  layer(ApiKeys.layer.pipe(Layer.provideMerge(db.layer)))(`the bootstrap key on ${db.name}`, (it) => {
    it.effect("is a super admin's while there is no other key, and only then", () =>
      Effect.gen(function*() {
        const key = randomKey()
        assert.equal(yield* bootstrap(key), "created")
        assert.equal(yield* bootstrap(key), "kept")
        const admin = yield* authenticate(key)
        assert.ok(isSuperAdmin(admin))
        assert.equal(`${admin.tenantId}/${admin.userId}`, "default/admin")

        const { record } = yield* create()
        yield* refused(key)
        assert.equal(yield* bootstrap(key), "disabled")
        assert.equal(yield* bootstrap(randomKey()), "disabled")

        yield* revoke("acme", record.keyId)
        assert.equal(yield* bootstrap(key), "kept")
        yield* authenticate(key)
      }))

    it.effect("gives way to a new one", () =>
      Effect.gen(function*() {
        const [first, second] = [randomKey(), randomKey()]
        yield* bootstrap(first)
        yield* authenticate(first)
        assert.equal(yield* bootstrap(second), "created")
        yield* refused(first)
        yield* authenticate(second)
      }))

    it.effect("stays revoked, and never wakes another key that was", () =>
      Effect.gen(function*() {
        const key = randomKey()
        yield* bootstrap(key)
        yield* revoke("default", ApiKeyId.make("key_bootstrap"))
        assert.equal(yield* bootstrap(key), "disabled")
        yield* refused(key)
        const { key: other, record } = yield* create()
        yield* revoke("acme", record.keyId)
        assert.equal(yield* bootstrap(other), "disabled")
        yield* refused(other)
      }))
  })
}
