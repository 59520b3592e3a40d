/** The forms that voices are made from. Every field is text; lists are JSON in it. */
import { Schema } from "effect"
import { DriveReference } from "../../domain/DriveReference.ts"
import { RecordingId } from "../../domain/Ids.ts"
import { CharacterCap, LicenceType, Licensor } from "../../domain/Licence.ts"
import { Gender, Language } from "../../domain/Voice.ts"
import {
  AgeHint,
  ConsentText,
  DesignPrompt,
  DisplayName,
  FullName,
  Languages,
  ReferenceText,
  StatedPurpose,
  StyleTags,
  VoiceDescription
} from "../../domain/VoiceMetadata.ts"
import type { VoiceMetadata } from "../../domain/VoiceMetadata.ts"

const metadata = {
  display_name: DisplayName,
  language_primary: Language,
  description: Schema.optionalKey(VoiceDescription),
  language_supported_json: Schema.optionalKey(Schema.fromJsonString(Languages)),
  gender_hint: Schema.optionalKey(Gender),
  age_hint: Schema.optionalKey(AgeHint),
  style_tags_json: Schema.optionalKey(Schema.fromJsonString(StyleTags))
}

export const CloneForm = Schema.Struct({
  ...metadata,
  consent_user_full_name: FullName,
  consent_stated_purpose: StatedPurpose,
  consent_text: ConsentText,
  reference_text: Schema.optionalKey(ReferenceText),
  reference_scaidrive_json: Schema.optionalKey(Schema.fromJsonString(DriveReference)),
  consent_scaidrive_json: Schema.optionalKey(Schema.fromJsonString(DriveReference)),
  reference_recording_id: Schema.optionalKey(RecordingId),
  consent_recording_id: Schema.optionalKey(RecordingId)
})

export const DesignForm = Schema.Struct({ ...metadata, voice_design_prompt: DesignPrompt })

const licence = {
  licensor: Schema.optionalKey(Licensor),
  license_type: Schema.optionalKey(LicenceType),
  license_expires_at: Schema.optionalKey(Schema.DateTimeUtcFromString),
  license_character_cap: Schema.optionalKey(Schema.FiniteFromString.pipe(Schema.decodeTo(CharacterCap)))
}

export const LicenseForm = Schema.Struct(licence)

export const GlobalVoiceForm = Schema.Struct({
  ...metadata,
  ...licence,
  relay_speaker: Schema.optionalKey(Schema.NonEmptyString.check(Schema.isMaxLength(200))).annotate({
    description: "Who speaks for the voice on backend B."
  }),
  reference_text: Schema.optionalKey(ReferenceText)
})

export const metadataOf = (form: Schema.Struct.Type<typeof metadata>): VoiceMetadata => ({
  displayName: form.display_name,
  languagePrimary: form.language_primary,
  description: form.description,
  languageSupported: form.language_supported_json,
  gender: form.gender_hint,
  ageHint: form.age_hint,
  styleTags: form.style_tags_json
})

/** A part that is a file. */
const file = (description: string) => Schema.optionalKey(Schema.String.annotate({ format: "binary", description }))
const only = (description: string) => Schema.optionalKey(Schema.String.annotate({ description }))

const driveForms = `{"file_id"}, {"mcp_uri"} or {"share_url"}`

/** What may be in the form of `POST /voices`, for its description. */
export const NewVoice = Schema.Struct({
  ...metadata,
  reference: file("Clone: a recording of the voice; sound of any supported format, told by content."),
  reference_text: only("Clone: what is said in `reference`."),
  consent: file("Clone: a recording of the speaker, who agrees."),
  reference_scaidrive_json: only(`In place of reference: JSON, ${driveForms}.`),
  consent_scaidrive_json: only("In place of consent: the same."),
  reference_recording_id: only("In place of reference: what WS /voices/record answered."),
  consent_recording_id: only("In place of consent: the same."),
  consent_user_full_name: only("Clone: who agrees."),
  consent_stated_purpose: only("Clone: what the voice is for."),
  consent_text: only("Clone: what is agreed to, word for word."),
  voice_design_prompt: only("Design: what the voice is like, 10 to 1000 code points.")
})
export const NewGlobalVoice = Schema.Struct({
  ...GlobalVoiceForm.fields,
  reference: file("A recording of the voice. It needs a licence."),
  license_document: file("The signed licence.")
})
export const LicenseWithDocument = Schema.Struct({ ...licence, license_document: file("The signed licence.") })
