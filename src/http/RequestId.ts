/** The id of the request being answered: the caller's own if it is a fit one, else made here. */
import { Context, Effect, Option, References, Schema } from "effect"
import type { HttpServerRequest } from "effect/http"
import { RequestId } from "../domain/Ids.ts"
import { CurrentRequestId } from "../services/CurrentRequestId.ts"
import { makeId } from "../services/Ids.ts"

export { CurrentRequestId }

/** All that a request carries along, in one piece: a context that is changed bit by bit is copied bit by bit. */
export const context = (requestId: RequestId) => {
  const annotations = { request_id: requestId }
  return Context.make(CurrentRequestId, requestId).pipe(
    Context.add(References.CurrentLogAnnotations, annotations),
    Context.add(References.TracerSpanAnnotations, annotations)
  )
}

const decode = Schema.decodeUnknownOption(RequestId)

/** Two ways of writing one header would be two ids: what does not fit is replaced, not refused. */
export const of = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<RequestId> => {
  const given = decode(request.headers["x-request-id"])
  return Option.isSome(given) ? Effect.succeed(given.value) : makeId("req")
}
