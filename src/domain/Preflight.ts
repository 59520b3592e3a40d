/**
 * Whether a clip is good enough to follow its voice: what is measured, which limits hold, and which of them it breaks.
 *
 * A clip is told everything that is wrong with it at once.
 */
import { Schema } from "effect"

export const PreflightMetrics = Schema.Struct({
  duration_ms: Schema.Int,
  voice_activity_ratio: Schema.Number.annotate({
    description: "0 to 1: the share of the clip in which somebody speaks."
  }),
  peak_dbfs: Schema.Number.annotate({ description: "Largest sample of any channel; −120 for silence." }),
  snr_db: Schema.Number.annotate({ description: "Mean level of speech over that of noise, 60 to 7900 Hz; 0 to 100." }),
  sample_rate: Schema.Int,
  channels: Schema.Int,
  clipping_ratio: Schema.Number.annotate({ description: "0 to 1: the share of clipped samples." }),
  bandwidth_hz: Schema.Number.annotate({ description: "Highest frequency that has speech in it." })
})
export type PreflightMetrics = typeof PreflightMetrics.Type

export const PreflightReason = Schema.Literals([
  "duration_below_minimum",
  "duration_above_maximum",
  "low_voice_activity_ratio",
  "peak_dbfs_above_threshold",
  "snr_below_threshold"
])
export type PreflightReason = typeof PreflightReason.Type

export const Preflight = Schema.Struct({
  passed: Schema.Boolean,
  metrics: PreflightMetrics,
  fail_reasons: Schema.Array(PreflightReason)
})
export type Preflight = typeof Preflight.Type

/** A value at a limit passes. */
export interface PreflightLimits {
  readonly durationMsMin: number
  readonly durationMsMax: number
  readonly voiceActivityMin: number
  readonly peakDbfsMax: number
  readonly snrDbMin: number
}

/** Of a reference clip. `fail_reasons` in the order of {@link PreflightReason}. */
export const decideReference = (metrics: PreflightMetrics, limits: PreflightLimits): Preflight =>
  decided(metrics, {
    duration_below_minimum: metrics.duration_ms < limits.durationMsMin,
    duration_above_maximum: metrics.duration_ms > limits.durationMsMax,
    low_voice_activity_ratio: metrics.voice_activity_ratio < limits.voiceActivityMin,
    peak_dbfs_above_threshold: metrics.peak_dbfs > limits.peakDbfsMax,
    snr_below_threshold: metrics.snr_db < limits.snrDbMin
  })

const consentMillisMin = 2000
/** A consent says something: a short sentence takes longer. */
const consentSpeechMillisMin = 500

/** Of the recorded consent: only that somebody says something is asked of it. */
export const decideConsent = (metrics: PreflightMetrics): Preflight =>
  decided(metrics, {
    duration_below_minimum: metrics.duration_ms < consentMillisMin,
    low_voice_activity_ratio: metrics.voice_activity_ratio * metrics.duration_ms < consentSpeechMillisMin
  })

const decided = (metrics: PreflightMetrics, broken: Partial<Record<PreflightReason, boolean>>): Preflight => {
  const fail_reasons = PreflightReason.literals.filter((reason) => broken[reason] === true)
  return { passed: fail_reasons.length === 0, metrics, fail_reasons }
}
