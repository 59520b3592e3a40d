/** `GET /synths/{id}`. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Backend } from "../../domain/BackendPolicy.ts"
import { Requires } from "./Caller.ts"
import { failures, Ok } from "./Wire.ts"

/** Characters are code points; durations are in ms. */
export const SynthesisRecord = Schema.Struct({
  synthesis_id: Schema.String,
  request_id: Schema.String,
  user_id: Schema.String,
  voice_id: Schema.String,
  status: Schema.Literals(["completed", "aborted", "failed"]).annotate({
    description: "`aborted`: the caller went away."
  }),
  error_code: Schema.NullOr(Schema.String),
  backend_used: Backend,
  node_id: Schema.NullOr(Schema.String),
  engine: Schema.String,
  model: Schema.String,
  routing: Schema.Array(Schema.String).annotate({
    description: "Why it went where it went, one sentence each, in order."
  }),
  ignored_params: Schema.Array(Schema.String),
  characters: Schema.Natural,
  audio_duration_ms: Schema.Natural,
  first_audio_ms: Schema.NullOr(Schema.Natural),
  total_ms: Schema.Natural,
  tags: Schema.Array(Schema.String),
  created_at: Schema.DateTimeUtcFromString
})

export class Synths extends HttpApiGroup.make("synths").add(
  HttpApiEndpoint.get("getSynthesis", "/synths/:synthesis_id", {
    params: { synthesis_id: Schema.String },
    success: Ok(SynthesisRecord),
    error: failures("SCAISPEAK_SYNTHESIS_NOT_FOUND")
  }).annotate(Requires, "scaispeak:synthesize").annotateMerge(OpenApi.annotations({
    summary: "Get the record of a synthesis",
    description:
      "How it was routed, in words, and what came of it; there once the call has ended. A caller sees its own, an administrator the tenant's."
  }))
) {}
