/** What is uploaded to become a voice. */
import { Schema } from "effect"
import { Multipart } from "effect/http"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Preflight } from "../../domain/Preflight.ts"
import { Requires } from "./Caller.ts"
import { failures, Ok } from "./Wire.ts"

export class Intake extends HttpApiGroup.make("intake").add(
  HttpApiEndpoint.post("preflight", "/voices/preflight", {
    payload: Schema.Struct({ reference: Multipart.SingleFileSchema }).pipe(HttpApiSchema.asMultipartStream()),
    success: Ok(Preflight),
    error: failures("SCAISPEAK_AUDIO_UNDECODABLE", "CONCURRENCY_LIMITED")
  }).annotate(Requires, "scaispeak:voice.write").annotateMerge(OpenApi.annotations({
    summary: "Measure a reference clip",
    description:
      "Says whether a voice can be cloned from the clip, and stores nothing. WAV, MP3, FLAC, Ogg with Opus or "
      + "Vorbis, WebM with Opus, and, where the server has ffmpeg, AAC in M4A; told by content."
  }))
) {}
