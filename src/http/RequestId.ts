/** The id of the request being answered: the caller's own if it is a fit one, else made here. */
import { Effect, Option, Schema } from "effect"
import type { HttpServerRequest } from "effect/http"
import { RequestId } from "../domain/Ids.ts"
import { makeId } from "../services/Ids.ts"

const decode = Schema.decodeUnknownOption(RequestId)

/** Two ways of writing one header would be two ids: what does not fit is replaced, not refused. */
export const of = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<RequestId> => {
  const given = decode(request.headers["x-request-id"])
  return Option.isSome(given) ? Effect.succeed(given.value) : makeId("req")
}
