/** `POST /voices/{id}/preview`. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { AudioFormat } from "../../domain/AudioFormat.ts"
import { Backend } from "../../domain/BackendPolicy.ts"
import { SynthesisId, VoiceId } from "../../domain/Ids.ts"
import { PreviewRequest } from "../../domain/PreviewText.ts"
import { Requires } from "./Caller.ts"
import { failures, Ok } from "./Wire.ts"

export const PreviewReply = Schema.Struct({
  voice_id: VoiceId,
  synthesis_id: SynthesisId,
  backend_used: Backend,
  text: Schema.String.annotate({ description: "What is said." }),
  characters: Schema.Natural,
  audio_duration_ms: Schema.Natural,
  response_format: AudioFormat,
  sample_rate: Schema.Natural,
  audio_base64: Schema.String
})

/** A text and the name of a format. */
const formLimits = { maxParts: 8, maxFieldSize: "16 KiB", maxTotalSize: "64 KiB" } as const

export class VoicePreview extends HttpApiGroup.make("preview").add(
  HttpApiEndpoint.post("preview", "/voices/:voice_id/preview", {
    params: { voice_id: Schema.String },
    payload: [PreviewRequest, PreviewRequest.pipe(HttpApiSchema.asMultipartStream(formLimits))],
    success: Ok(PreviewReply),
    error: failures(
      "MODULE_NOT_ENABLED",
      "RATE_LIMITED",
      "CONCURRENCY_LIMITED",
      "SCAISPEAK_VOICE_NOT_FOUND",
      "SCAISPEAK_VOICE_NOT_READY",
      "SCAISPEAK_BACKEND_UNAVAILABLE",
      "SCAISPEAK_BACKEND_FAILED",
      "SCAISPEAK_BACKEND_TIMEOUT",
      "SCAISPEAK_BACKEND_SATURATED"
    )
  }).annotate(Requires, "scaispeak:voice.read").annotateMerge(OpenApi.annotations({
    summary: "Hear a voice",
    description:
      "Speaks `text`, or a sentence in the voice's language. Counted like any synthesis. `response_format` is `mp3` when absent."
  }))
) {}
