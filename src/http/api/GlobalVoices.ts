/** The voices that are everybody's, as super admins keep them. */
import { Effect, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { VoiceId } from "../../domain/Ids.ts"
import { CharacterCap, LicenceType, Licensor } from "../../domain/Licence.ts"
import { Gender, Language } from "../../domain/Voice.ts"
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

/** What a form of names, numbers and short texts needs. */
const formLimits = { maxParts: 32, maxFieldSize: "16 KiB", maxTotalSize: "256 KiB" } as const

const shortText = Schema.NonEmptyString.check(Schema.isMaxLength(200))
const jsonOf = <S extends Schema.Top>(item: S) =>
  Schema.fromJsonString(Schema.Array(item).check(Schema.isMaxLength(32)))

/** A form: every field is text. */
export const NewGlobalVoice = Schema.Struct({
  relay_speaker: shortText.annotate({ description: "Who speaks for the voice on backend B." }),
  display_name: shortText,
  language_primary: Language,
  language_supported_json: Schema.optionalKey(jsonOf(Language)),
  description: Schema.String.check(Schema.isMaxLength(2000)).pipe(Schema.withDecodingDefaultKey(Effect.succeed(""))),
  gender_hint: Gender.pipe(Schema.withDecodingDefaultKey(Effect.succeed("unspecified"))),
  age_hint: Schema.optionalKey(shortText),
  style_tags_json: jsonOf(shortText).pipe(Schema.withDecodingDefaultKey(Effect.succeed("[]"))),
  licensor: Schema.optionalKey(Licensor),
  license_type: Schema.optionalKey(LicenceType),
  license_expires_at: Schema.optionalKey(Schema.DateTimeUtcFromString),
  license_character_cap: Schema.optionalKey(Schema.FiniteFromString.pipe(Schema.decodeTo(CharacterCap)))
})

export class GlobalVoices extends HttpApiGroup.make("globalVoices").add(
  HttpApiEndpoint.post("addGlobalVoice", "/admin/voices/global", {
    payload: NewGlobalVoice.pipe(HttpApiSchema.asMultipartStream(formLimits)),
    success: Ok(VoiceDetail).annotate({ httpApiStatus: 201 }),
    error: failures()
  }).annotate(Requires, "scaispeak:admin").annotateMerge(OpenApi.annotations({
    summary: "Add a global voice",
    description:
      "A voice that a speaker of the relay speaks, with its licence if it has one; it takes no files. Super admins only."
  })),
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
