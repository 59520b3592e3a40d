/** Where a request comes from, for the ledger of consents. */
import { Effect, Option } from "effect"
import { HttpServerRequest } from "effect/http"
import type { Origin } from "../domain/Consent.ts"
import { CurrentRequestId } from "../services/CurrentRequestId.ts"

/** A client may call itself what it likes; this much of it is kept. */
const userAgentMax = 512

export const currentOrigin = Effect.gen(function*() {
  const { headers, remoteAddress } = yield* HttpServerRequest.HttpServerRequest
  return {
    requestId: yield* CurrentRequestId,
    ip: Option.getOrNull(remoteAddress),
    userAgent: headers["user-agent"]?.slice(0, userAgentMax) ?? null
  } satisfies Omit<Origin, "userId">
})
