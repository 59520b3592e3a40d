/** What people say about a voice, with its bounds: given when it is made, and changed by `PATCH`. Lengths in code points. */
import { Schema } from "effect"
import { codePoints } from "./SpeakRequest.ts"
import { speechParamFields } from "./SpeechParams.ts"
import { Language } from "./Voice.ts"
import type { Gender } from "./Voice.ts"

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

/** What the speaker says in a reference clip: more than anybody says in the longest. */
export const ReferenceText = words(1, 2000)
/** Of whoever agrees to be cloned. */
export const FullName = words(1, 200)
export const StatedPurpose = words(1, 1000)
export const ConsentText = words(1, 10_000)

/** What is said of a voice when it is made. */
export interface VoiceMetadata {
  readonly displayName: string
  readonly languagePrimary: string
  readonly description?: string | undefined
  readonly languageSupported?: ReadonlyArray<string> | undefined
  readonly gender?: typeof Gender.Type | undefined
  readonly ageHint?: string | undefined
  readonly styleTags?: ReadonlyArray<string> | undefined
}

/** Of a voice that is made from words alone. */
export interface VoiceDesign extends VoiceMetadata {
  readonly designPrompt: string
}

/** Of a voice that follows a recorded one, beside the recordings. */
export interface VoiceClone extends VoiceMetadata {
  readonly consentFullName: string
  readonly consentStatedPurpose: string
  /** Kept exactly as it comes. */
  readonly consentText: string
  readonly referenceText?: string | undefined
}

/** What a new voice's record says of it. */
export const described = (given: VoiceMetadata) => ({
  displayName: given.displayName.trim(),
  description: given.description?.trim() ?? "",
  languagePrimary: given.languagePrimary,
  languageSupported: supported(given.languagePrimary, given.languageSupported ?? []),
  gender: given.gender ?? "unspecified",
  ageHint: given.ageHint?.trim() ?? null,
  styleTags: given.styleTags?.map((tag) => tag.trim()) ?? []
} as const)

/** Without doubles, the primary one first: a voice supports the language that it is of. */
export const supported = (primary: string, languages: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Set([primary, ...languages])
]
