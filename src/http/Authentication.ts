/**
 * Bearer token → caller, permission → 403, and one audit row a call, whatever came of it.
 *
 * Browsers and proxies put tokens in many places; only the `Authorization` header is read here.
 */
import { Context, Effect, Layer, References } from "effect"
import type { HttpServerResponse } from "effect/http"
import type { HttpApiEndpoint, HttpApiGroup } from "effect/http-api"
import type { RequestId } from "../domain/Ids.ts"
import * as Admission from "../services/Admission.ts"
import { CurrentRequestId } from "../services/CurrentRequestId.ts"
import { Authentication, Caller, Requires } from "./api/Caller.ts"
import * as Envelope from "./Envelope.ts"

interface Target {
  readonly endpoint: HttpApiEndpoint.Top
  readonly group: HttpApiGroup.Top
}

const actionOf = ({ endpoint, group }: Target) => `${group.identifier}.${endpoint.identifier}`

/** What the audit row says of a reply. */
const outcomeOf = ({ status }: HttpServerResponse.HttpServerResponse) =>
  status < 400 ? "allowed" as const : status === 403 ? "denied" as const : "failed" as const

/** Adds the caller to what the request carries along. */
const carrying = (caller: Caller["Service"], requestId: RequestId) => {
  const { tenantId, userId } = caller.user
  return (context: Context.Context<never>): Context.Context<Caller> =>
    context.pipe(
      Context.add(Caller, caller),
      Context.add(References.CurrentLogAnnotations, { request_id: requestId, tenant_id: tenantId }),
      Context.add(References.TracerSpanAnnotations, { request_id: requestId, tenant_id: tenantId, user_id: userId })
    )
}

export const layer = Layer.effect(
  Authentication,
  Effect.gen(function*() {
    const admit = yield* Admission.make

    return Authentication.of({
      bearer: (handler, { credential, ...target }) =>
        Effect.flatMap(CurrentRequestId, (requestId) => {
          const permission = Context.getOrUndefined(target.endpoint.annotations, Requires)
          return Effect.matchEffect(admit(credential, { action: actionOf(target), permission, requestId }), {
            onFailure: Envelope.failed,
            onSuccess: ({ audit, user }) => {
              const caller = { user, token: credential, resourceId: null as string | null }
              return Effect.updateContext(handler, carrying(caller, requestId)).pipe(
                Effect.onExit((exit) =>
                  audit(caller.resourceId, exit._tag === "Success" ? outcomeOf(exit.value) : "failed")
                )
              )
            }
          })
        })
    })
  })
)
