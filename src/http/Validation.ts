/** A request that does not fit its schema → 422 with one entry a field, named as the caller wrote it. */
import { Effect } from "effect"
import { HttpApiMiddleware } from "effect/http-api"
import { InvalidRequest } from "../domain/Failure.ts"
import { detailsOf } from "../domain/Issues.ts"
import { Validation } from "./api/Caller.ts"
import * as Envelope from "./Envelope.ts"

/** Where the part that failed stands, for issues that name no field in it. */
const parts: Record<string, string> = { Params: "path", Headers: "headers", Query: "query", Payload: "body" }

export const layer = HttpApiMiddleware.layerSchemaErrorTransform(Validation, (error) => {
  // A reply that does not fit its own schema is a bug of ours.
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.die(error)
  const part = parts[error.kind] ?? "body"
  return Envelope.failed(new InvalidRequest({ details: detailsOf(error.cause.issue, part) }))
})
