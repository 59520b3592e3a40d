/** `GET /voices`, `GET /voices/{id}` and `POST /voices/preflight`. */
import { Effect, Schema } from "effect"
import { Multipart } from "effect/http"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { VoiceId } from "../../domain/Ids.ts"
import { Preflight } from "../../domain/Preflight.ts"
import {
  EmbeddingStatus,
  Gender,
  Language,
  VoiceConsent,
  VoiceDefaults,
  VoiceKind,
  VoiceScope
} from "../../domain/Voice.ts"
import { Requires } from "./Caller.ts"
import { LicenseRecord } from "./LicenseRecord.ts"
import { failures, Ok, Page } from "./Wire.ts"

/** A voice as clients see it. */
export const VoiceRecord = Schema.Struct({
  voice_id: VoiceId,
  display_name: Schema.String,
  description: Schema.String,
  scope: VoiceScope,
  kind: VoiceKind,
  language_primary: Schema.String,
  language_supported: Schema.Array(Schema.String),
  gender: Gender,
  age_hint: Schema.NullOr(Schema.String),
  style_tags: Schema.Array(Schema.String),
  embedding_status: EmbeddingStatus,
  status_reason: Schema.NullOr(Schema.String),
  owner_user_id: Schema.NullOr(Schema.String),
  tenant_id: Schema.NullOr(Schema.String),
  defaults: VoiceDefaults,
  backends: Schema.Struct({ A: Schema.Boolean, B: Schema.Boolean }),
  relay_speaker: Schema.NullOr(Schema.String),
  consent: Schema.NullOr(VoiceConsent),
  created_at: Schema.DateTimeUtcFromString,
  updated_at: Schema.DateTimeUtcFromString
})

/** One voice by itself. */
export const VoiceDetail = Schema.Struct({
  ...VoiceRecord.fields,
  license: Schema.NullOr(LicenseRecord).annotate({ description: "Null when there is none." })
})

const limit = Schema.FiniteFromString.check(
  Schema.isInt(),
  Schema.isBetween({ minimum: 1, maximum: 200 })
).annotate({ description: "1 to 200; 50 when absent." })

export class Voices extends HttpApiGroup.make("voices").add(
  HttpApiEndpoint.get("list", "/voices", {
    query: {
      language: Schema.optionalKey(Language),
      scope: Schema.optionalKey(VoiceScope),
      gender: Schema.optionalKey(Gender),
      embedding_status: Schema.optionalKey(EmbeddingStatus),
      kind: Schema.optionalKey(VoiceKind),
      q: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))),
      limit: limit.pipe(Schema.withDecodingDefaultKey(Effect.succeed("50"))),
      cursor: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(1000)))
    },
    success: Ok(Page(VoiceRecord)),
    error: failures()
  }).annotate(Requires, "scaispeak:voice.read").annotateMerge(OpenApi.annotations({
    summary: "List voices",
    description: "Global voices, the tenant's and the caller's own."
  })),
  HttpApiEndpoint.get("get", "/voices/:voice_id", {
    params: { voice_id: Schema.String },
    success: Ok(VoiceDetail),
    error: failures("SCAISPEAK_VOICE_NOT_FOUND")
  }).annotate(Requires, "scaispeak:voice.read").annotateMerge(OpenApi.annotations({
    summary: "Get a voice",
    description: "A voice that the caller cannot see is absent: the reply is the same."
  })),
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
