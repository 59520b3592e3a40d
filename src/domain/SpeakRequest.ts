/** What `POST /speak` takes: the wire names, the bounds, and the rules between fields. */
import { Effect, Schema } from "effect"
import { AudioFormat, formats, SampleRate } from "./AudioFormat.ts"
import { BackendPreference } from "./BackendPolicy.ts"
import { VoiceId } from "./Ids.ts"
import { speechParamFields } from "./SpeechParams.ts"
import type { SpeechParams } from "./SpeechParams.ts"
import { Language } from "./Voice.ts"

/** Code points. */
export const textCodePointsMax = 100_000

/** Characters as they are counted and billed: Unicode code points of the text as sent. */
export const codePoints = (text: string): number => {
  let count = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    // A high surrogate followed by a low one is one code point.
    if (unit >= 0xd800 && unit <= 0xdbff && i + 1 < text.length) {
      const next = text.charCodeAt(i + 1)
      if (next >= 0xdc00 && next <= 0xdfff) i++
    }
    count++
  }
  return count
}

export const SpeechText = Schema.String.check(
  Schema.makeFilter(
    (text) => {
      if (text.trim() === "") return "must hold something to say"
      // The cheap bound first: a code point is at most two code units.
      if (text.length > 2 * textCodePointsMax || codePoints(text) > textCodePointsMax) {
        return `must be at most ${textCodePointsMax} code points`
      }
      return undefined
    },
    { identifier: "SpeechText", description: `1 to ${textCodePointsMax} code points, not only white space` }
  )
)

export const SaveTo = Schema.Struct({
  shareId: Schema.NonEmptyString,
  folderId: Schema.optionalKey(Schema.NonEmptyString),
  name: Schema.optionalKey(Schema.NonEmptyString.check(Schema.isMaxLength(255))),
  onConflict: Schema.Literals(["rename", "replace", "fail"]).pipe(Schema.optionalKey)
}).pipe(Schema.encodeKeys({ shareId: "share_id", folderId: "folder_id", onConflict: "on_conflict" }))

export const SpeakRequest = Schema.Struct({
  text: SpeechText,
  voiceId: VoiceId,
  languageHint: Schema.optionalKey(Language),
  responseFormat: AudioFormat.pipe(Schema.withDecodingDefaultKey(Effect.succeed("mp3" as const))),
  sampleRate: Schema.optionalKey(SampleRate),
  ...speechParamFields,
  backendPreference: BackendPreference.pipe(Schema.withDecodingDefaultKey(Effect.succeed("any" as const))),
  forceAsync: Schema.Boolean.pipe(Schema.withDecodingDefaultKey(Effect.succeed(false))),
  saveTo: Schema.optionalKey(SaveTo),
  timestamps: Schema.Literals(["none", "word"]).pipe(Schema.withDecodingDefaultKey(Effect.succeed("none" as const))),
  /** Kept on the usage row, for cost centres. */
  tags: Schema.optionalKey(
    Schema.Array(Schema.NonEmptyString.check(Schema.isMaxLength(64))).check(Schema.isMaxLength(16))
  )
}).check(
  Schema.makeFilter(({ responseFormat, sampleRate }) =>
    sampleRate === undefined || formats[responseFormat].sampleRates.includes(sampleRate)
      ? undefined
      : {
        path: ["sample_rate"],
        issue: `${responseFormat} takes ${formats[responseFormat].sampleRates.join(", ")} Hz`
      }
  )
).pipe(
  Schema.encodeKeys({
    voiceId: "voice_id",
    languageHint: "language_hint",
    responseFormat: "response_format",
    sampleRate: "sample_rate",
    cfgValue: "cfg_value",
    warmupTrimMs: "warmup_trim_ms",
    backendPreference: "backend_preference",
    forceAsync: "force_async",
    saveTo: "save_to"
  })
)
export type SpeakRequest = typeof SpeakRequest.Type

/** How it is to sound, without what was left open. */
export const paramsOf = ({ cfgValue, instructions, seed, speed, warmupTrimMs }: SpeechParams): SpeechParams => ({
  ...(speed === undefined ? {} : { speed }),
  ...(instructions === undefined ? {} : { instructions }),
  ...(cfgValue === undefined ? {} : { cfgValue }),
  ...(seed === undefined ? {} : { seed }),
  ...(warmupTrimMs === undefined ? {} : { warmupTrimMs })
})
