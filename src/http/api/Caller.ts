/** The authenticated caller of an endpoint, and what the endpoint asks of it. */
import { Context } from "effect"
import type { Redacted } from "effect"
import { HttpApiMiddleware, HttpApiSecurity } from "effect/http-api"
import type { AuthUser, Permission } from "../../domain/Permission.ts"

export class Caller extends Context.Service<Caller, {
  readonly user: AuthUser
  /** What it called with: to be exchanged, never kept. */
  readonly token: Redacted.Redacted
  /** What the call is about; the handler names it for the audit row. */
  resourceId: string | null
}>()("scaispeak/http/Caller") {}

/** Annotation of an endpoint: the permission without which it answers 403. */
export const Requires = Context.Service<{ readonly _: unique symbol }, Permission>("scaispeak/http/Requires")

/** Bearer token → {@link Caller}; checks {@link Requires} and writes the audit row of the call. */
export class Authentication extends HttpApiMiddleware.Service<Authentication, { provides: Caller }>()(
  "scaispeak/http/Authentication",
  { security: { bearer: HttpApiSecurity.bearer } }
) {}

/** A request that does not decode is answered with one entry a field. */
export class Validation extends HttpApiMiddleware.Service<Validation>()("scaispeak/http/Validation") {}
