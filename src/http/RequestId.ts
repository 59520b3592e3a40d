/** The id of the request being answered: the caller's own if it is a fit one, else made here. */
import { Context, Effect, Option, Schema } from "effect"
import type { HttpServerRequest } from "effect/http"
import { RequestId } from "../domain/Ids.ts"
import { makeId } from "../services/Ids.ts"

/** Set for every request by the envelope, so that handlers, logs and replies agree on it. */
export const CurrentRequestId = Context.Reference<RequestId>("scaispeak/http/CurrentRequestId", {
  defaultValue: () => RequestId.make("req_none")
})

const decode = Schema.decodeUnknownOption(RequestId)

/** Two ways of writing one header would be two ids: what does not fit is replaced, not refused. */
export const of = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<RequestId> => {
  const given = decode(request.headers["x-request-id"])
  return Option.isSome(given) ? Effect.succeed(given.value) : makeId("req")
}
