/** Makes the rows of a tenant and its users when they are first met. Safe to race: the first one wins, all of them succeed. */
import { Clock, Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { BackendPolicy, initialPolicy } from "../../domain/BackendPolicy.ts"
import type { PartnerId, TenantId, UserId } from "../../domain/Ids.ts"
import type { Role } from "../../domain/Permission.ts"
import { keepExisting, overwrite } from "./Dialect.ts"

const AllowedBackends = Schema.fromJsonString(BackendPolicy.fields.allowedBackends)
const encodeAllowed = Schema.encodeSync(AllowedBackends)
const decodePolicy = Schema.decodeUnknownEffect(BackendPolicy)

export const policyRow = (tenantId: TenantId, policy: BackendPolicy, now: number) => ({
  tenant_id: tenantId,
  allowed_backends: encodeAllowed(policy.allowedBackends),
  default_backend: policy.defaultBackend,
  updated_at: now
})

export const policyOf = (row: { readonly allowed_backends: string; readonly default_backend: string }) =>
  Effect.orDie(
    Effect.suspend(() =>
      decodePolicy({ allowedBackends: JSON.parse(row.allowed_backends), defaultBackend: row.default_backend })
    )
  )

/** A tenant with the default policy. Its partner, once known, is stored even on a tenant that was met without one. */
export const provisionTenant = Effect.fn("Provision.tenant")(function*(
  tenant: { readonly tenantId: TenantId; readonly partnerId?: PartnerId }
) {
  const sql = yield* SqlClient.SqlClient
  const now = yield* Clock.currentTimeMillis
  const row = { tenant_id: tenant.tenantId, partner_id: tenant.partnerId ?? null, module_enabled: 1, created_at: now }
  const ifMet = tenant.partnerId === undefined
    ? keepExisting(sql, "tenant_id")
    : overwrite(sql, ["tenant_id"], ["partner_id"])
  yield* sql`INSERT INTO tenants ${sql.insert(row)} ${ifMet}`
  const policy = policyRow(tenant.tenantId, initialPolicy, now)
  yield* sql`INSERT INTO tenant_policies ${sql.insert(policy)} ${keepExisting(sql, "tenant_id")}`
})

export interface Owner {
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly partnerId?: PartnerId
  readonly role: Role
}

/** A user and its tenant. The role is the identity provider's word at this moment, so a stored one gives way. */
export const provisionUser = Effect.fn("Provision.user")(function*(owner: Owner) {
  const sql = yield* SqlClient.SqlClient
  yield* provisionTenant(owner)
  const row = {
    tenant_id: owner.tenantId,
    user_id: owner.userId,
    role: owner.role,
    created_at: yield* Clock.currentTimeMillis
  }
  yield* sql`INSERT INTO users ${sql.insert(row)} ${overwrite(sql, ["tenant_id", "user_id"], ["role"])}`
})
