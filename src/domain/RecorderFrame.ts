/** The frames of `WS /voices/record`: JSON texts; what is recorded goes up in binary frames between `open` and `stop`. */
import { Schema } from "effect"
import { RecordingId } from "./Ids.ts"
import { Preflight } from "./Preflight.ts"

/** What of a new voice is recorded. */
export const RecordedPart = Schema.Literals(["reference", "consent"])
export type RecordedPart = typeof RecordedPart.Type

/** Hz. Opus is decoded at its own 48 kHz, whatever the microphone had. */
const rates = [8000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] as const

export const Open = Schema.Struct({
  type: Schema.Literal("open"),
  part: RecordedPart,
  sample_rate: Schema.Literals(rates).annotate({ description: "Hz, of pcm." }),
  /** `pcm`: s16le, mono, whole samples a frame. `opus`: one packet a frame (RFC 6716), mono. */
  codec: Schema.Literals(["pcm", "opus"])
})
export type Open = typeof Open.Type

export const Stop = Schema.Struct({ type: Schema.Literal("stop") })

export const RecorderFrame = Schema.Union([Open, Stop])
export type RecorderFrame = typeof RecorderFrame.Type

export const Ready = Schema.Struct({
  type: Schema.Literal("ready"),
  limits: Schema.Struct({ duration_ms: Schema.Int, frame_bytes: Schema.Int, idle_ms: Schema.Int })
})
/** Of the last tenth of a second. */
export const Level = Schema.Struct({
  type: Schema.Literal("level"),
  dbfs: Schema.Number.annotate({ description: "RMS; −120 for silence." }),
  voice_activity: Schema.Boolean.annotate({ description: "Whether somebody speaks." }),
  elapsed_ms: Schema.Int.annotate({ description: "Of sound, since open." })
})
/** A recording that did not pass is not kept and has no id. */
export const Recorded = Schema.Struct({
  type: Schema.Literal("recorded"),
  recording_id: Schema.NullOr(RecordingId),
  preflight: Preflight
})
export type RecorderAnswer = typeof Ready.Type | typeof Level.Type | typeof Recorded.Type
