/** The voices that are everybody's, as super admins keep them. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { CharacterCap, LicenceType, Licensor } from "../../domain/Licence.ts"
import { Requires } from "./Caller.ts"
import { Created } from "./Intake.ts"
import { LicenseWithDocument, NewGlobalVoice } from "./VoiceForms.ts"
import { VoiceRecord } from "./Voices.ts"
import { failures, Ok } from "./Wire.ts"

/** What is absent stays; null takes a bound away. */
export const LicenseChanges = Schema.Struct({
  licensor: Schema.optionalKey(Licensor),
  license_type: Schema.optionalKey(LicenceType),
  license_expires_at: Schema.optionalKey(Schema.NullOr(Schema.DateTimeUtcFromString)),
  license_character_cap: Schema.optionalKey(Schema.NullOr(CharacterCap))
})

export class GlobalVoices extends HttpApiGroup.make("globalVoices").add(
  HttpApiEndpoint.post("addGlobalVoice", "/admin/voices/global", {
    payload: NewGlobalVoice.pipe(HttpApiSchema.asMultipartStream()),
    success: Created,
    error: failures("SCAISPEAK_VOICE_PREFLIGHT_FAILED", "SCAISPEAK_AUDIO_UNDECODABLE", "CONCURRENCY_LIMITED")
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Add a global voice",
    description:
      "A voice that a speaker of the relay speaks, that follows a recording, or both. A recording needs no consent here: "
      + "it needs a licence, `licensor` and `license_type` at least. `license_document` is the signed one. Super admins only."
  })),
  HttpApiEndpoint.patch("changeGlobalVoice", "/admin/voices/global/:voice_id", {
    params: { voice_id: Schema.String },
    payload: [LicenseChanges, LicenseWithDocument.pipe(HttpApiSchema.asMultipartStream())],
    success: Ok(VoiceRecord),
    error: failures("SCAISPEAK_VOICE_NOT_FOUND")
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "License a global voice",
    description:
      "Gives the voice a licence or changes its terms; what was used stays counted, and running calls finish. `time_bound` needs `license_expires_at`; `usage_bound` needs `license_character_cap` and may also end. Another type begins without the bounds of the former. As a form it may bring another `license_document`. Super admins only."
  })),
  HttpApiEndpoint.get("licenseDocument", "/admin/voices/global/:voice_id/license/document", {
    params: { voice_id: Schema.String },
    headers: { range: Schema.optionalKey(Schema.String), "if-range": Schema.optionalKey(Schema.String) },
    success: HttpApiSchema.StreamUint8Array({ contentType: "application/octet-stream" }),
    error: failures("SCAISPEAK_VOICE_NOT_FOUND", "SCAISPEAK_LICENSE_DOCUMENT_NOT_FOUND")
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Get the signed licence of a global voice",
    description: "The file as it came. One `Range` of bytes is honoured. Super admins only."
  }))
) {}
