/**
 * Who comes in by any surface: bearer token → caller, permission, and one audit row a call, whatever came of it. A token that
 * is nobody's leaves no row: there is no tenant to write it to.
 */
import { Effect } from "effect"
import type { Redacted } from "effect"
import type { PermissionDenied, StorageUnavailable, TokenInvalid, TokenMissing } from "../domain/Failure.ts"
import type { RequestId } from "../domain/Ids.ts"
import { missing } from "../domain/Permission.ts"
import type { AuthUser, Permission } from "../domain/Permission.ts"
import { Identity } from "./Identity.ts"
import { Ledger } from "./Ledger.ts"

export interface Call {
  /** In the audit row, such as `voices.get`. */
  readonly action: string
  /** Absent: any caller may. */
  readonly permission: Permission | undefined
  readonly requestId: RequestId
}

export interface Admitted {
  readonly user: AuthUser
  /** Writes the row. `resourceId`: what the call was about. For the surface to say once, when the call has ended. */
  readonly audit: (resourceId: string | null, outcome: "allowed" | "denied" | "failed") => Effect.Effect<void>
}

export type Refusal = TokenMissing | TokenInvalid | PermissionDenied | StorageUnavailable

export const make = Effect.gen(function*() {
  const identity = yield* Identity
  const ledger = yield* Ledger

  /** A caller who is denied has its row when this fails. */
  const admit = (token: Redacted.Redacted, { action, permission, requestId }: Call): Effect.Effect<Admitted, Refusal> =>
    Effect.flatMap(identity.authenticate(token), (user): Effect.Effect<Admitted, Refusal> => {
      const audit: Admitted["audit"] = (resourceId, outcome) =>
        ledger.audit({ actorUserId: user.userId, tenantId: user.tenantId, action, resourceId, outcome, requestId })
      const denied = permission === undefined ? undefined : missing(user, permission)
      return denied === undefined
        ? Effect.succeed({ user, audit })
        : Effect.andThen(audit(null, "denied"), Effect.fail(denied))
    })
  return admit
})
