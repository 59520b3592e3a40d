/** How an utterance should sound, and whose word wins: engine < voice < request. */
import { Schema } from "effect"

/** 1 is the voice's own pace; 2 is twice as fast. */
export const Speed = Schema.Finite.check(Schema.isBetween({ minimum: 0.5, maximum: 2 }))

/** Fields of {@link SpeechParams}, shared by every request that speaks. Absent leaves the voice's or engine's own. */
export const speechParamFields = {
  speed: Schema.optionalKey(Speed),
  /** Free-text direction, for engines that take it. */
  instructions: Schema.optionalKey(Schema.NonEmptyString.check(Schema.isMaxLength(4096))),
  /** Guidance strength, for engines that sample. */
  cfgValue: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 10 }))),
  seed: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xffffffff }))),
  /** ms cut from the start. */
  warmupTrimMs: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5000 })))
}

export const SpeechParams = Schema.Struct(speechParamFields)
export type SpeechParams = typeof SpeechParams.Type

/** Later arguments win, field by field. */
export const merge = (voice: SpeechParams, request: SpeechParams): SpeechParams => ({ ...voice, ...request })
