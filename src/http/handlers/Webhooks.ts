/** Whom the jobs of the caller's tenant may call back, and what those calls are signed with. */
import { DateTime, Effect, Redacted } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Webhooks } from "../../services/Webhooks.ts"
import type { SecretState, TenantWebhooks } from "../../services/Webhooks.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import * as Envelope from "../Envelope.ts"

const tenantOf = Effect.map(Caller, (caller) => {
  const { tenantId } = caller.user
  caller.resourceId = tenantId
  return tenantId
})

export const layer = HttpApiBuilder.group(
  Api,
  "webhooks",
  Effect.fnUntraced(function*(handlers) {
    const webhooks = yield* Webhooks

    return handlers.handleAll({
      getWebhooks: Effect.fnUntraced(function*() {
        return yield* Envelope.ok(wire(yield* webhooks.read(yield* tenantOf)))
      }, Envelope.answerFailures),

      putWebhooks: Effect.fnUntraced(function*({ payload }) {
        return yield* Envelope.ok(wire(yield* webhooks.allow(yield* tenantOf, payload.allowed_origins)))
      }, Envelope.answerFailures),

      makeWebhookSecret: Effect.fnUntraced(function*() {
        const { secret, state } = yield* webhooks.rotate(yield* tenantOf)
        return yield* Envelope.ok({ secret: Redacted.value(secret), ...stateOf(state) })
      }, Envelope.answerFailures)
    })
  })
)

const stateOf = ({ madeAt, previousUntil }: SecretState) => ({
  created_at: DateTime.makeUnsafe(madeAt),
  previous_valid_until: previousUntil === null ? null : DateTime.makeUnsafe(previousUntil)
})

const wire = ({ allowedOrigins, secret }: TenantWebhooks) => ({
  allowed_origins: allowedOrigins,
  secret: secret === null ? null : stateOf(secret)
})
