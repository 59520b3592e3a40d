/** Who may do what: permissions, the roles that grant them, and the authenticated caller. */
import { Schema } from "effect"
import { PermissionDenied } from "./Failure.ts"
import type { ApiKeyId, PartnerId, TenantId, UserId } from "./Ids.ts"

export const Permission = Schema.Literals([
  "scaispeak:synthesize",
  "scaispeak:voice.read",
  "scaispeak:voice.write",
  "scaispeak:voice.share",
  "scaispeak:admin"
])
export type Permission = typeof Permission.Type

export const Role = Schema.Literals(["super_admin", "partner_admin", "tenant_admin", "tenant_user", "tenant_viewer"])
export type Role = typeof Role.Type

const all = Permission.literals

/** `tenant_user` gets nothing: speech spends budget, so it is granted one by one. */
export const granted: Record<Role, ReadonlyArray<Permission>> = {
  super_admin: all,
  partner_admin: all,
  tenant_admin: all,
  tenant_user: [],
  tenant_viewer: ["scaispeak:voice.read"]
}

/** The caller, as every decision sees it. */
export interface AuthUser {
  readonly userId: UserId
  readonly tenantId: TenantId
  readonly partnerId?: PartnerId
  readonly role: Role
  /** What this caller may do: the role's grants, with a JWT's scopes added, or a key's own list. */
  readonly permissions: ReadonlySet<Permission>
  /** How the caller proved who it is. Only a JWT can be exchanged for a token of another audience. */
  readonly credential: { readonly kind: "apiKey"; readonly keyId: ApiKeyId } | { readonly kind: "jwt" }
}

/** Global voices, nodes and tenants are a super admin's. A key is one only if its owner is and it may administer. */
export const isSuperAdmin = (user: Pick<AuthUser, "role" | "permissions">): boolean =>
  user.role === "super_admin" && user.permissions.has("scaispeak:admin")

/** The failure to answer with, or `undefined` when the caller has the permission. */
export const missing = (user: AuthUser, permission: Permission): PermissionDenied | undefined =>
  user.permissions.has(permission) ? undefined : new PermissionDenied({ permission })
