/**
 * What `PATCH /voices/{id}` takes, and the voice after it. What is absent stays as it is, inside `defaults` too; null
 * clears.
 */
import { Schema } from "effect"
import { Gender } from "./Voice.ts"
import type { Voice } from "./Voice.ts"
import {
  AgeHint,
  DisplayName,
  Languages,
  StyleTags,
  supported,
  voiceDefaultFields,
  VoiceDescription
} from "./VoiceMetadata.ts"

const clearable = <S extends Schema.Top>(schema: S) => Schema.optionalKey(Schema.NullOr(schema))

const DefaultsPatch = Schema.Struct({
  instructions: clearable(voiceDefaultFields.instructions.schema),
  speed: clearable(voiceDefaultFields.speed.schema),
  cfgValue: clearable(voiceDefaultFields.cfgValue.schema),
  warmupTrimMs: clearable(voiceDefaultFields.warmupTrimMs.schema)
}).pipe(Schema.encodeKeys({ cfgValue: "cfg_value", warmupTrimMs: "warmup_trim_ms" }))

export const VoicePatch = Schema.Struct({
  displayName: Schema.optionalKey(DisplayName),
  description: clearable(VoiceDescription),
  gender: clearable(Gender),
  ageHint: clearable(AgeHint),
  styleTags: clearable(StyleTags),
  languageSupported: clearable(Languages),
  defaults: clearable(DefaultsPatch)
}).pipe(Schema.encodeKeys({
  displayName: "display_name",
  ageHint: "age_hint",
  styleTags: "style_tags",
  languageSupported: "language_supported"
}))
export type VoicePatch = typeof VoicePatch.Type

/** What a patch can change. */
export type VoiceChange = Partial<Pick<Voice, keyof VoicePatch>>

/** The new values of the fields that the patch names, and of no other. */
export const changesOf = (voice: Pick<Voice, "languagePrimary" | "defaults">, patch: VoicePatch): VoiceChange => ({
  ...(patch.displayName === undefined ? {} : { displayName: patch.displayName.trim() }),
  ...(patch.description === undefined ? {} : { description: patch.description?.trim() ?? "" }),
  ...(patch.gender === undefined ? {} : { gender: patch.gender ?? "unspecified" }),
  ...(patch.ageHint === undefined ? {} : { ageHint: patch.ageHint?.trim() ?? null }),
  ...(patch.styleTags === undefined ? {} : { styleTags: patch.styleTags?.map((tag) => tag.trim()) ?? [] }),
  ...(patch.languageSupported === undefined
    ? {}
    : { languageSupported: supported(voice.languagePrimary, patch.languageSupported ?? []) }),
  ...(patch.defaults === undefined ? {} : { defaults: merged(voice.defaults, patch.defaults ?? cleared) })
})

const cleared = { instructions: null, speed: null, cfgValue: null, warmupTrimMs: null }

const merged = (defaults: Voice["defaults"], patch: NonNullable<VoicePatch["defaults"]>): Voice["defaults"] =>
  Object.fromEntries(
    Object.entries({ ...defaults, ...patch }).filter(([, value]) => value !== null)
  ) as Voice["defaults"]
