/** An API key as its table keeps it, and what may be put on one. */
import { DateTime, Schema } from "effect"
import { createHash } from "node:crypto"
import { ApiKeyId } from "../../domain/Ids.ts"
import type { TenantId, UserId } from "../../domain/Ids.ts"
import { granted, Permission } from "../../domain/Permission.ts"
import type { Role } from "../../domain/Permission.ts"

/** The key of a fresh installation. It has a name of its own because its worth depends on the other keys. */
export const bootstrapId = ApiKeyId.make("key_bootstrap")

/** What is told of a key: never the key itself. */
export interface ApiKey {
  readonly keyId: ApiKeyId
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly name: string
  readonly permissions: ReadonlyArray<Permission>
  readonly createdAt: DateTime.Utc
  readonly expiresAt: DateTime.Utc | null
  readonly revokedAt: DateTime.Utc | null
  /** To within some seconds. */
  readonly lastUsedAt: DateTime.Utc | null
}

export interface ApiKeyRow {
  readonly key_id: ApiKeyId
  readonly tenant_id: TenantId
  readonly user_id: UserId
  readonly name: string
  readonly permissions: string
  readonly created_at: number
  readonly expires_at: number | null
  readonly revoked_at: number | null
  readonly last_used_at: number | null
}

export const recordColumns =
  "key_id, tenant_id, user_id, name, permissions, created_at, expires_at, revoked_at, last_used_at"

export const permissionsOf = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Array(Permission)))

const timeOf = (millis: number | null) => millis === null ? null : DateTime.makeUnsafe(millis)

export const apiKeyOf = (row: ApiKeyRow): ApiKey => ({
  keyId: row.key_id,
  tenantId: row.tenant_id,
  userId: row.user_id,
  name: row.name,
  permissions: permissionsOf(row.permissions),
  createdAt: DateTime.makeUnsafe(row.created_at),
  expiresAt: timeOf(row.expires_at),
  revokedAt: timeOf(row.revoked_at),
  lastUsedAt: timeOf(row.last_used_at)
})

/** Keys are long and random, so a plain hash is enough: there is nothing to guess. */
export const sha256 = (key: string): string => createHash("sha256").update(key).digest("hex")

/**
 * What a key of each role may carry: the role's own grants. A `tenant_user` has none of its own, since speech spends
 * budget, and is granted one by one: an administrator may put anything but administration on its keys.
 */
export const grantable: Record<Role, ReadonlyArray<Permission>> = {
  ...granted,
  tenant_user: Permission.literals.filter((permission) => permission !== "scaispeak:admin")
}
