/** What people say about a voice, with its bounds: given when it is made, and changed by `PATCH`. Lengths in code points. */
import { Schema } from "effect"
import { codePoints } from "./SpeakRequest.ts"
import { speechParamFields } from "./SpeechParams.ts"
import { Gender, Language } from "./Voice.ts"

/** Text that holds something, within its bound. */
const words = (codePointsMin: number, codePointsMax: number) =>
  Schema.String.check(Schema.makeFilter(
    (text) => {
      // The cheap bound first: a code point is at most two code units.
      const length = text.length > 2 * codePointsMax ? Infinity : codePoints(text.trim())
      return length >= codePointsMin && length <= codePointsMax
        ? undefined
        : `must be ${codePointsMin} to ${codePointsMax} code points`
    },
    { description: `${codePointsMin} to ${codePointsMax} code points` }
  ))

export const DisplayName = words(1, 100)
export const VoiceDescription = words(0, 2000)
export const AgeHint = words(1, 50)
export const StyleTags = Schema.Array(words(1, 50)).check(Schema.isMaxLength(16))
export const Languages = Schema.Array(Language).check(Schema.isMaxLength(64))
/** The words that a voice is designed from. */
export const DesignPrompt = words(10, 1000)

const { seed: _seed, ...defaults } = speechParamFields
export const voiceDefaultFields = {
  instructions: defaults.instructions,
  speed: defaults.speed,
  cfgValue: defaults.cfgValue,
  warmupTrimMs: defaults.warmupTrimMs
}

/** Of a voice that is made from words alone. */
export const VoiceDesign = Schema.Struct({
  displayName: DisplayName,
  languagePrimary: Language,
  designPrompt: DesignPrompt,
  description: Schema.optionalKey(VoiceDescription),
  languageSupported: Schema.optionalKey(Languages),
  gender: Schema.optionalKey(Gender),
  ageHint: Schema.optionalKey(AgeHint),
  styleTags: Schema.optionalKey(StyleTags)
}).pipe(Schema.encodeKeys({
  displayName: "display_name",
  languagePrimary: "language_primary",
  designPrompt: "voice_design_prompt",
  languageSupported: "language_supported",
  gender: "gender_hint",
  ageHint: "age_hint",
  styleTags: "style_tags"
}))
export type VoiceDesign = typeof VoiceDesign.Type

/** Without doubles, the primary one first: a voice supports the language that it is of. */
export const supported = (primary: string, languages: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set([primary, ...languages])
]
