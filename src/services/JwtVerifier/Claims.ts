/** Which caller a verified token names. */
import { Effect, Schema } from "effect"
import type { JWTPayload } from "jose"
import { PartnerId, TenantId, UserId } from "../../domain/Ids.ts"
import { type AuthUser, granted, Permission, Role } from "../../domain/Permission.ts"

const Claims = Schema.Struct({
  sub: UserId,
  tenant_id: TenantId,
  partner_id: Schema.optional(Schema.NullOr(PartnerId)),
  role: Schema.optional(Schema.NullOr(Schema.String)),
  /** RFC 6749 §3.3: names separated by spaces. */
  scope: Schema.optional(Schema.NullOr(Schema.String)),
  email: Schema.optional(Schema.NullOr(Schema.String.check(Schema.isMaxLength(320)))),
  /** RFC 8693 §4.1: who acts for `sub`. */
  act: Schema.optional(Schema.NullOr(Schema.Struct({ sub: UserId })))
})

/** A caller with what only its token says. */
export interface TokenUser extends AuthUser {
  readonly email?: string
  /** Who acts in the user's name, when the token was delegated. */
  readonly actorId?: UserId
}

const isRole = Schema.is(Role)
const isPermission = Schema.is(Permission)

/**
 * A role that this service does not know, or none, is a `tenant_user`: it grants nothing, and the caller is told which
 * permission is missing rather than that its token is bad. Scopes of other services are passed over.
 */
export const userOf = (payload: JWTPayload): Effect.Effect<TokenUser, Schema.SchemaError> =>
  Effect.map(Schema.decodeUnknownEffect(Claims)(payload), (claims) => {
    const role = isRole(claims.role) ? claims.role : "tenant_user"
    const scopes = (claims.scope ?? "").split(" ").filter(isPermission)
    return {
      userId: claims.sub,
      tenantId: claims.tenant_id,
      ...(claims.partner_id ? { partnerId: claims.partner_id } : {}),
      role,
      permissions: new Set([...granted[role], ...scopes]),
      credential: { kind: "jwt" },
      ...(claims.email ? { email: claims.email } : {}),
      ...(claims.act ? { actorId: claims.act.sub } : {})
    }
  })
