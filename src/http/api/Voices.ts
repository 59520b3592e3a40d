/** The voices that a caller sees: lists, records, changes, sharing, and the stored recordings. */
import { Effect, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { VoiceId } from "../../domain/Ids.ts"
import { EmbeddingStatus, Gender, VoiceConsent, VoiceDefaults, VoiceKind, VoiceScope } from "../../domain/Voice.ts"
import { Cursor, pageDefault, pageMax, voiceFilterFields } from "../../domain/VoiceFilter.ts"
import { VoicePatch } from "../../domain/VoicePatch.ts"
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
  reference: Schema.NullOr(Schema.Struct({ duration_ms: Schema.Natural, sha256: Schema.String })).annotate({
    description: "The clip that a cloned voice follows."
  }),
  consent: Schema.NullOr(VoiceConsent),
  license: Schema.NullOr(LicenseRecord).annotate({ description: "Of a global voice; null when there is none." }),
  voice_design_prompt: Schema.NullOr(Schema.String),
  created_at: Schema.DateTimeUtcFromString,
  updated_at: Schema.DateTimeUtcFromString
})

const limit = Schema.FiniteFromString.check(
  Schema.isInt(),
  Schema.isBetween({ minimum: 1, maximum: pageMax })
).annotate({ description: `1 to ${pageMax}; ${pageDefault} when absent.` })

const named = {
  params: { voice_id: Schema.String },
  success: Ok(VoiceRecord),
  error: failures("SCAISPEAK_VOICE_NOT_FOUND")
}

const recording = {
  params: { voice_id: Schema.String },
  headers: { range: Schema.optionalKey(Schema.String), "if-range": Schema.optionalKey(Schema.String) },
  success: HttpApiSchema.StreamUint8Array({ contentType: "audio/*" }),
  error: failures("SCAISPEAK_VOICE_NOT_FOUND")
}

export class Voices extends HttpApiGroup.make("voices").add(
  HttpApiEndpoint.get("list", "/voices", {
    query: {
      ...voiceFilterFields,
      limit: limit.pipe(Schema.withDecodingDefaultKey(Effect.succeed(String(pageDefault)))),
      cursor: Schema.optionalKey(Cursor)
    },
    success: Ok(Page(VoiceRecord)),
    error: failures()
  }).annotate(Requires, "scaispeak:voice.read").annotateMerge(OpenApi.annotations({
    summary: "List voices",
    description: "Global voices, the tenant's and the caller's own."
  })),
  HttpApiEndpoint.get("get", "/voices/:voice_id", named)
    .annotate(Requires, "scaispeak:voice.read")
    .annotateMerge(OpenApi.annotations({
      summary: "Get a voice",
      description: "A voice that the caller cannot see is absent: the reply is the same."
    })),
  HttpApiEndpoint.patch("update", "/voices/:voice_id", { ...named, payload: VoicePatch })
    .annotate(Requires, "scaispeak:voice.write")
    .annotateMerge(OpenApi.annotations({
      summary: "Change a voice",
      description:
        "What is absent stays as it is, inside `defaults` too; null clears. A user voice is its owner's to change, a tenant voice its tenant administrators'; global ones are not changed here."
    })),
  HttpApiEndpoint.post("share", "/voices/:voice_id/share", named)
    .annotate(Requires, "scaispeak:voice.share")
    .annotateMerge(OpenApi.annotations({
      summary: "Share a voice with the tenant",
      description: "It stays its owner's. Sharing again changes nothing."
    })),
  HttpApiEndpoint.delete("unshare", "/voices/:voice_id/share", named)
    .annotate(Requires, "scaispeak:voice.share")
    .annotateMerge(OpenApi.annotations({
      summary: "Take a shared voice back",
      description:
        "It is its owner's alone again. For the owner and for tenant administrators, who no longer see it afterwards."
    })),
  HttpApiEndpoint.get("reference", "/voices/:voice_id/reference", {
    ...recording,
    query: { original: Schema.optionalKey(Schema.Literals(["true", "false"])) }
  }).annotate(Requires, "scaispeak:voice.read").annotateMerge(OpenApi.annotations({
    summary: "Get the clip that a voice follows",
    description:
      "16 kHz, mono, 16 bits, in WAV; with `original=true` the recording as it came. For its owner and tenant "
      + "administrators; absent for others. One `Range` of bytes is honoured, with 206."
  })),
  HttpApiEndpoint.get("consentAudio", "/voices/:voice_id/consent/audio", recording)
    .annotate(Requires, "scaispeak:voice.read")
    .annotateMerge(OpenApi.annotations({
      summary: "Get the spoken consent of a voice",
      description:
        "The recording as it came. For its owner and tenant administrators; absent for others. One `Range` of bytes is honoured, with 206."
    }))
) {}
