/** The voices that are everybody's, as super admins keep them. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { VoiceId } from "../../domain/Ids.ts"
import { CharacterCap, LicenceType, Licensor } from "../../domain/Licence.ts"
import { Requires } from "./Caller.ts"
import { VoiceDetail } from "./Voices.ts"
import { failures, Ok } from "./Wire.ts"

/** What is absent stays; null takes a bound away. */
export const LicenseChanges = Schema.Struct({
  licensor: Schema.optionalKey(Licensor),
  license_type: Schema.optionalKey(LicenceType),
  license_expires_at: Schema.optionalKey(Schema.NullOr(Schema.DateTimeUtcFromString)),
  license_character_cap: Schema.optionalKey(Schema.NullOr(CharacterCap))
})

export class GlobalVoices extends HttpApiGroup.make("globalVoices").add(
  HttpApiEndpoint.patch("changeGlobalVoice", "/admin/voices/global/:voice_id", {
    params: { voice_id: Schema.String },
    payload: LicenseChanges,
    success: Ok(VoiceDetail),
    error: failures("SCAISPEAK_VOICE_NOT_FOUND")
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "License a global voice",
    description:
      "Gives the voice a licence or changes its terms; what was used stays counted, and running calls finish. `time_bound` needs `license_expires_at`; `usage_bound` needs `license_character_cap` and may also end. Another type begins without the bounds of the former. Super admins only."
  })),
  HttpApiEndpoint.delete("withdrawGlobalVoice", "/admin/voices/global/:voice_id", {
    params: { voice_id: Schema.String },
    success: Ok(Schema.Struct({ voice_id: VoiceId, withdrawn: Schema.Literal(true) })),
    error: failures("SCAISPEAK_VOICE_NOT_FOUND")
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Withdraw a global voice",
    description:
      "Takes the voice out of the library for everybody and for good; running calls finish. Repeating it changes nothing. Super admins only."
  }))
) {}
