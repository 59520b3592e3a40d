/** All metrics of a clip, from its sound. */
import type { PreflightMetrics } from "../../domain/Preflight.ts"
import type { Sound } from "../AudioDecoder/Take.ts"
import { makeResampler } from "../Resampler.ts"
import { activityRate, findActivity } from "./Activity.ts"
import { measureBandwidth } from "./Bandwidth.ts"
import { clippingRatio } from "./Clipping.ts"
import { findSpeech } from "./Silero.ts"
import { estimateSnr, snrRate } from "./Snr.ts"

export interface Measured {
  readonly metrics: PreflightMetrics
  /** Why the detector that was asked for did not find the speech, in words. */
  readonly detectorFailed?: string
}

/** Of nothing at all. */
const peakDbfsMin = -120

/** Level, clipping and length are those of all of it. How it speaks is told by its first minute: clips of use end before. */
const heardSecondsMax = 60

/** `vadModel`: path of a Silero model; energy and periodicity tell the speech without it, and when it fails. */
export const measure = (sound: Sound, vadModel: string | undefined): Measured => {
  const { channels, peak, sampleRate, samples } = sound
  const heard = samples.subarray(0, heardSecondsMax * sampleRate)
  const wide = atRate(heard, sampleRate, snrRate)
  const found = vadModel === undefined ? undefined : findSpeech(wide, vadModel)
  const active = found instanceof Uint8Array ? found : findActivity(atRate(wide, snrRate, activityRate))
  const metrics = {
    duration_ms: Math.round((samples.length * 1000) / sampleRate),
    voice_activity_ratio: rounded(active.reduce((sum, one) => sum + one, 0) / Math.max(1, active.length), 3),
    peak_dbfs: rounded(Math.max(peakDbfsMin, 20 * Math.log10(peak)), 2),
    snr_db: rounded(estimateSnr(wide, active), 1),
    sample_rate: sampleRate,
    channels,
    clipping_ratio: rounded(clippingRatio(sound), 6),
    bandwidth_hz: measureBandwidth(heard, sampleRate, active)
  }
  return typeof found === "string" ? { metrics, detectorFailed: found } : { metrics }
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits))

/** The whole signal at another rate. */
export const atRate = (samples: Float32Array, from: number, to: number): Float32Array => {
  if (from === to) return samples
  const resampler = makeResampler(from, to)
  const made = new Float32Array(Math.round((samples.length * to) / from))
  let at = 0
  const keep = (part: Float64Array) => {
    made.set(part, at)
    at += part.length
  }
  for (let n = 0; n < samples.length; n += blockSamples) {
    keep(resampler.push(Float64Array.from(samples.subarray(n, n + blockSamples))))
  }
  keep(resampler.end())
  return made
}

const blockSamples = 16_384
