/** What is uploaded to become a voice. */
import { Schema } from "effect"
import { Multipart } from "effect/http"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Preflight } from "../../domain/Preflight.ts"
import { Requires } from "./Caller.ts"
import { NewVoice } from "./VoiceForms.ts"
import { VoiceRecord } from "./Voices.ts"
import { failures, IdempotencyKey, Ok } from "./Wire.ts"

/** The formats that are told by content. */
const formats = "WAV, MP3, FLAC, Ogg with Opus or Vorbis, WebM with Opus, and, where the server has ffmpeg, AAC in M4A"

export const Created = Ok(VoiceRecord).annotate({ httpApiStatus: 201 })

export class Intake extends HttpApiGroup.make("intake").add(
  HttpApiEndpoint.post("createVoice", "/voices", {
    headers: { "idempotency-key": Schema.optionalKey(IdempotencyKey) },
    payload: NewVoice.pipe(HttpApiSchema.asMultipartStream()),
    success: Created,
    error: failures(
      "SCAISPEAK_VOICE_PREFLIGHT_FAILED",
      "SCAISPEAK_AUDIO_UNDECODABLE",
      "SCAISPEAK_VOICE_NOT_FOUND",
      "SCAISPEAK_IDEMPOTENCY_CONFLICT",
      "CONCURRENCY_LIMITED"
    )
  }).annotate(Requires, "scaispeak:voice.write").annotateMerge(OpenApi.annotations({
    summary: "Clone or design a voice",
    description:
      "Exactly one of two modes a request. Clone: `reference`, a recording of the voice; `consent`, one of the speaker "
      + "agreeing; `consent_user_full_name`, `consent_stated_purpose` and `consent_text`. Design: `voice_design_prompt` and "
      + "no recording. A recording may also lie in ScaiDrive or behind a link (`…_scaidrive_json`), or have been made "
      + "live at `WS /voices/record` (`…_recording_id`). "
      + `The voice is the caller's own and ready at once. Recordings: ${formats}.`
  })),
  HttpApiEndpoint.post("preflight", "/voices/preflight", {
    payload: Schema.Struct({ reference: Multipart.SingleFileSchema }).pipe(HttpApiSchema.asMultipartStream()),
    success: Ok(Preflight),
    error: failures("SCAISPEAK_AUDIO_UNDECODABLE", "CONCURRENCY_LIMITED")
  }).annotate(Requires, "scaispeak:voice.write").annotateMerge(OpenApi.annotations({
    summary: "Measure a reference clip",
    description: `Says whether a voice can be cloned from the clip, and stores nothing. ${formats}; told by content.`
  }))
) {}
