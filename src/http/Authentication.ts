/**
 * Bearer token → caller, permission → 403, and one audit row a call, whatever came of it.
 *
 * Browsers and proxies put tokens in many places; only the `Authorization` header is read here.
 */
import { Context, Effect, Layer, References } from "effect"
import type { HttpServerResponse } from "effect/http"
import type { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import type { RequestId } from "../domain/Ids.ts"
import { missing } from "../domain/Permission.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { Identity } from "../services/Identity.ts"
import { Ledger } from "../services/Ledger.ts"
import { Authentication, Caller, Requires } from "./api/Caller.ts"
import * as Envelope from "./Envelope.ts"
import { CurrentRequestId } from "./RequestId.ts"

interface Target {
  readonly endpoint: HttpApiEndpoint.Top
  readonly group: HttpApiGroup.Top
}

const actionOf = ({ endpoint, group }: Target) => `${group.identifier}.${endpoint.identifier}`

/** What the audit row says of a reply. */
const outcomeOf = ({ status }: HttpServerResponse.HttpServerResponse) =>
  status < 400 ? "allowed" as const : status === 403 ? "denied" as const : "failed" as const

/** What the caller adds to what the request carries along, in one piece. */
const contextOf = (caller: Caller["Service"], requestId: RequestId) => {
  const { tenantId, userId } = caller.user
  return Context.make(Caller, caller).pipe(
    Context.add(References.CurrentLogAnnotations, { request_id: requestId, tenant_id: tenantId }),
    Context.add(References.TracerSpanAnnotations, { request_id: requestId, tenant_id: tenantId, user_id: userId })
  )
}

export const layer = Layer.effect(
  Authentication,
  Effect.gen(function*() {
    const identity = yield* Identity
    const ledger = yield* Ledger

    const audit = Effect.fnUntraced(function*(
      user: AuthUser,
      target: Target,
      resourceId: string | null,
      outcome: "allowed" | "denied" | "failed"
    ) {
      yield* ledger.audit({
        actorUserId: user.userId,
        tenantId: user.tenantId,
        action: actionOf(target),
        resourceId,
        outcome,
        requestId: yield* CurrentRequestId
      })
    })

    return Authentication.of({
      bearer: (handler, { credential, ...target }) =>
        Effect.matchEffect(identity.authenticate(credential), {
          onFailure: Envelope.failed,
          onSuccess: (user) => {
            const permission = Context.getOrUndefined(target.endpoint.annotations, Requires)
            const denied = permission === undefined ? undefined : missing(user, permission)
            if (denied !== undefined) {
              return Effect.andThen(audit(user, target, null, "denied"), Envelope.failed(denied))
            }
            const caller = { user, token: credential, resourceId: null as string | null }
            return Effect.flatMap(CurrentRequestId, (requestId) =>
              handler.pipe(
                Effect.provideContext(contextOf(caller, requestId)),
                Effect.onExit((exit) =>
                  audit(user, target, caller.resourceId, exit._tag === "Success" ? outcomeOf(exit.value) : "failed")
                )
              ))
          }
        })
    })
  })
)
