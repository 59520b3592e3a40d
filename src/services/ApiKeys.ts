/**
 * API keys: `sgk_` and 32 random bytes, stored only as their SHA-256, belonging to one user of one tenant.
 *
 * A key may do what its own list says, and never more than its owner's role may be given at that moment. Whether a key is
 * good is remembered for up to 5 s: a revocation takes effect at once in this process and, by signal, in others; within that
 * time in those that the signal does not reach.
 */
import { Clock, Context, DateTime, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { randomBytes } from "node:crypto"
import { ApiKeyNotFound, InvalidRequest, TokenInvalid } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import { TenantId, UserId } from "../domain/Ids.ts"
import type { ApiKeyId, PartnerId } from "../domain/Ids.ts"
import { granted } from "../domain/Permission.ts"
import type { AuthUser, Permission, Role } from "../domain/Permission.ts"
import { orUnavailable } from "./Database.ts"
import { makeId } from "./Ids.ts"
import { onSignal, Signals } from "./Signals.ts"
import { apiKeyOf, bootstrapId, grantable, recordColumns, sha256 } from "./sql/ApiKeyRow.ts"
import type { ApiKey, ApiKeyRow } from "./sql/ApiKeyRow.ts"
import { affected, overwrite } from "./sql/Dialect.ts"
import { makeKeyCheck } from "./sql/KeyCheck.ts"
import { makeLastUsed } from "./sql/LastUsed.ts"
import { provisionUser } from "./sql/Provision.ts"
import type { Owner } from "./sql/Provision.ts"

export type { ApiKey } from "./sql/ApiKeyRow.ts"
export type { Owner } from "./sql/Provision.ts"

export interface NewApiKey {
  readonly name: string
  /** Stored with its tenant when it is new. Its role is taken as true and replaces a stored one. */
  readonly owner: Owner
  readonly permissions: ReadonlyArray<Permission>
  readonly expiresAt?: DateTime.Utc
}

/** Operators may choose a bootstrap key of their own that is longer or shorter than ours. */
const looksLikeKey = /^sgk_[\w-]{32,256}$/u

/** Of the key that a fresh installation starts with. */
const bootstrapOwner: Owner = {
  tenantId: TenantId.make("default"),
  userId: UserId.make("admin"),
  role: "super_admin"
}

export class ApiKeys extends Context.Service<ApiKeys, {
  /** `key` is shown this once. Permissions that the owner's role may not be given are refused. */
  readonly create: (
    options: NewApiKey
  ) => Effect.Effect<{ readonly record: ApiKey; readonly key: Redacted.Redacted }, InvalidRequest | StorageUnavailable>
  /** The tenant's keys that are not revoked, oldest first. */
  readonly list: (tenantId: TenantId) => Effect.Effect<ReadonlyArray<ApiKey>, StorageUnavailable>
  readonly revoke: (tenantId: TenantId, keyId: ApiKeyId) => Effect.Effect<void, ApiKeyNotFound | StorageUnavailable>
  readonly authenticate: (key: Redacted.Redacted) => Effect.Effect<AuthUser, TokenInvalid | StorageUnavailable>
  /**
   * Revokes every key of a user and takes their name from them: `pseudonym` stands for it. Says how many. The bootstrap key
   * stays known, so that it does not come back.
   */
  readonly eraseOwner: (
    owner: Pick<Owner, "tenantId" | "userId">,
    pseudonym: string
  ) => Effect.Effect<number, StorageUnavailable>
  /** A user that was met before, with the role it had then. */
  readonly owner: (tenantId: TenantId, userId: UserId) => Effect.Effect<Owner | undefined, StorageUnavailable>
  /**
   * Stores the key of a super admin that works only while there is no other unrevoked key. `disabled`: there is one, or
   * this very key was revoked.
   */
  readonly ensureBootstrap: (
    key: Redacted.Redacted
  ) => Effect.Effect<"created" | "kept" | "disabled", StorageUnavailable>
}>()("scaispeak/ApiKeys") {
  static readonly layer = Layer.effect(
    ApiKeys,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const signals = yield* Signals
      const keys = yield* makeKeyCheck
      const tellOthers = yield* onSignal(signals, "keys.changed", () => keys.forget)
      const changed = Effect.andThen(keys.forget, tellOthers({}))
      const lastUsed = yield* makeLastUsed

      const insert = (keyId: ApiKeyId, key: string, { expiresAt, name, owner, permissions }: NewApiKey) =>
        Effect.gen(function*() {
          const row = {
            key_id: keyId,
            tenant_id: owner.tenantId,
            user_id: owner.userId,
            name,
            permissions: JSON.stringify([...new Set(permissions)]),
            created_at: yield* Clock.currentTimeMillis,
            expires_at: expiresAt === undefined ? null : DateTime.toEpochMillis(expiresAt),
            revoked_at: null,
            last_used_at: null
          } satisfies ApiKeyRow
          const stored = { ...row, sha256: sha256(key) }
          yield* provisionUser(owner).pipe(
            Effect.provideService(SqlClient.SqlClient, sql),
            // Only the bootstrap key is ever there already.
            Effect.andThen(
              sql`INSERT INTO api_keys ${sql.insert(stored)} ${
                overwrite(sql, ["key_id"], ["sha256", "created_at", "revoked_at"])
              }`
            ),
            sql.withTransaction,
            orUnavailable
          )
          yield* changed
          return apiKeyOf(row)
        })

      return ApiKeys.of({
        create: Effect.fn("ApiKeys.create")(function*(options) {
          const { role } = options.owner
          const refused = options.permissions.filter((permission) => !grantable[role].includes(permission))
          if (refused.length > 0) {
            return yield* InvalidRequest.field("permissions", `a ${role} may not have ${refused.join(", ")}`)
          }
          const key = `sgk_${randomBytes(32).toString("base64url")}`
          return { record: yield* insert(yield* makeId("key"), key, options), key: Redacted.make(key) }
        }),

        list: Effect.fn("ApiKeys.list")(function*(tenantId) {
          const rows = yield* orUnavailable(sql<ApiKeyRow>`SELECT ${sql.literal(recordColumns)} FROM api_keys
            WHERE tenant_id = ${tenantId} AND revoked_at IS NULL ORDER BY key_id`)
          return rows.map(apiKeyOf)
        }),

        revoke: Effect.fn("ApiKeys.revoke")(function*(tenantId, keyId) {
          const now = yield* Clock.currentTimeMillis
          const found = yield* orUnavailable(affected(sql`UPDATE api_keys SET revoked_at = ${now}
            WHERE key_id = ${keyId} AND tenant_id = ${tenantId} AND revoked_at IS NULL`))
          if (found === 0) return yield* new ApiKeyNotFound()
          yield* changed
        }),

        eraseOwner: Effect.fn("ApiKeys.eraseOwner")(function*({ tenantId, userId }, pseudonym) {
          const now = yield* Clock.currentTimeMillis
          const found = yield* orUnavailable(affected(sql`
            UPDATE api_keys SET revoked_at = COALESCE(revoked_at, ${now}), user_id = ${pseudonym}, name = ''
            WHERE tenant_id = ${tenantId} AND user_id = ${userId}`))
          if (found > 0) yield* changed
          return found
        }),

        authenticate: (key) =>
          Effect.suspend(() => {
            const text = Redacted.value(key)
            if (!looksLikeKey.test(text)) return Effect.fail(new TokenInvalid())
            return Effect.map(keys.check(sha256(text)), ({ keyId, user }) => {
              lastUsed.note(keyId)
              return user
            })
          }),

        owner: Effect.fn("ApiKeys.owner")(function*(tenantId, userId) {
          const [row] = yield* orUnavailable(sql<{ readonly role: Role; readonly partner_id: PartnerId | null }>`
            SELECT u.role, t.partner_id FROM users u JOIN tenants t ON t.tenant_id = u.tenant_id
            WHERE u.tenant_id = ${tenantId} AND u.user_id = ${userId}`)
          if (row === undefined) return undefined
          return { tenantId, userId, role: row.role, ...(row.partner_id === null ? {} : { partnerId: row.partner_id }) }
        }),

        ensureBootstrap: Effect.fn("ApiKeys.ensureBootstrap")(function*(key) {
          const hash = sha256(Redacted.value(key))
          const rows = yield* orUnavailable(sql<Pick<ApiKeyRow, "key_id" | "revoked_at"> & { readonly sha256: string }>`
            SELECT key_id, revoked_at, sha256 FROM api_keys WHERE key_id = ${bootstrapId} OR sha256 = ${hash}
            UNION ALL SELECT * FROM (SELECT key_id, revoked_at, sha256 FROM api_keys
              WHERE key_id <> ${bootstrapId} AND revoked_at IS NULL LIMIT 1) AS other`)
          if (rows.some((row) => row.key_id !== bootstrapId)) return "disabled"
          const [stored] = rows
          if (stored?.sha256 === hash) return stored.revoked_at === null ? "kept" : "disabled"
          yield* insert(bootstrapId, Redacted.value(key), {
            name: "bootstrap",
            owner: bootstrapOwner,
            permissions: granted.super_admin
          })
          return "created"
        })
      })
    })
  )
}
