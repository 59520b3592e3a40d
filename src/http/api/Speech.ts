/** `POST /speak`. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { AudioFormat } from "../../domain/AudioFormat.ts"
import { Backend } from "../../domain/BackendPolicy.ts"
import { SynthesisId } from "../../domain/Ids.ts"
import { SpokenWord } from "../../domain/PcmChunk.ts"
import { SpeakRequest } from "../../domain/SpeakRequest.ts"
import { Requires } from "./Caller.ts"
import { Accepted } from "./Jobs.ts"
import { failures, IdempotencyKey, Ok } from "./Wire.ts"

/** The JSON reply: asked for with `Accept: application/json` or `timestamps`. */
export const SpeakReply = Schema.Struct({
  synthesis_id: SynthesisId,
  backend_used: Backend,
  characters: Schema.Natural,
  audio_duration_ms: Schema.Natural,
  response_format: AudioFormat,
  sample_rate: Schema.Natural,
  ignored_params: Schema.Array(Schema.String),
  audio_base64: Schema.optionalKey(Schema.String),
  words: Schema.optionalKey(Schema.Array(SpokenWord))
})

export class Speech extends HttpApiGroup.make("speech").add(
  HttpApiEndpoint.post("speak", "/speak", {
    headers: {
      accept: Schema.optionalKey(Schema.String),
      "idempotency-key": Schema.optionalKey(IdempotencyKey)
    },
    payload: SpeakRequest,
    success: [
      HttpApiSchema.StreamUint8Array({ contentType: "audio/*" }),
      Ok(SpeakReply),
      HttpApiSchema.status(202)(Ok(Accepted))
    ],
    error: failures(
      "MODULE_NOT_ENABLED",
      "RATE_LIMITED",
      "CONCURRENCY_LIMITED",
      "SCAISPEAK_VOICE_NOT_FOUND",
      "SCAISPEAK_VOICE_NOT_READY",
      "SCAISPEAK_VOICE_LICENSE_EXPIRED",
      "SCAISPEAK_VOICE_LICENSE_EXHAUSTED",
      "SCAISPEAK_SAVE_TO_REQUIRES_JWT",
      "SCAISPEAK_IDEMPOTENCY_CONFLICT",
      "SCAISPEAK_BACKEND_UNAVAILABLE",
      "SCAISPEAK_BACKEND_FAILED",
      "SCAISPEAK_BACKEND_TIMEOUT",
      "SCAISPEAK_BACKEND_SATURATED"
    )
  }).annotate(Requires, "scaispeak:synthesize").annotateMerge(OpenApi.annotations({
    summary: "Speak",
    description:
      "Speaks a text. The body is audio in `response_format`, sent while it is made; an error after the first byte breaks the connection. With `Accept: application/json` or `timestamps` the reply is JSON with the audio in base64. A longer text than the service speaks at once (500 code points unless configured otherwise), or `force_async`, becomes a job: 202, and `Location` says where it stands. `callback_url`, of an origin that `PUT /admin/webhooks` allows, is told when the job has ended: up to eight times within a day until it takes it, later where it answers 429 or 503 with `Retry-After`."
  }))
) {}
