/** Taking consent back, and whether the ledger of consents is what it was. */
import { DateTime, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Consents } from "../../services/Consents.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import * as Envelope from "../Envelope.ts"
import { named } from "../NamedVoice.ts"
import { currentOrigin } from "../Origin.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "consents",
  Effect.fnUntraced(function*(handlers) {
    const consents = yield* Consents
    return handlers.handleAll({
      revoke: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        const { consentId, revokedAt } = yield* consents.revoke(user, id, yield* currentOrigin)
        return yield* Envelope.ok({
          voice_id: id,
          consent: {
            consent_id: consentId,
            status: "revoked" as const,
            revoked_at: DateTime.makeUnsafe(revokedAt!)
          }
        })
      }, Envelope.answerFailures),
      verify: Effect.fnUntraced(function*() {
        const { user } = yield* Caller
        const { brokenAt, ...verification } = yield* consents.verify(user.tenantId)
        return yield* Envelope.ok({ ...verification, ...(brokenAt === undefined ? {} : { broken_at: brokenAt }) })
      }, Envelope.answerFailures)
    })
  })
)
