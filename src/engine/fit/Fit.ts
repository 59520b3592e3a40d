/**
 * What bends a voice to another one, and the bending of its samples: played faster or slower, so that formants move, and
 * through an equaliser. The engine below answers for pitch and pace, which it takes as numbers.
 */
import { makeResampler } from "../../services/Resampler.ts"
import { equalise } from "./Equaliser.ts"

export interface Fit {
  /** Mean pitch to ask the engine for, Hz, before the warp. */
  readonly f0MeanHz: number
  /** Standard deviation of that pitch, Hz. */
  readonly f0SpreadHz: number
  /** Formants and pitch times this over 100; durations the other way. */
  readonly warpPercent: number
  /** Of the equaliser, at the rate of the samples. */
  readonly taps: Float32Array
}

/** `round(n · 100 / warpPercent)` samples, time-aligned: what was at sample i is at i · 100 / warpPercent. */
export const bend = (samples: Int16Array, { taps, warpPercent }: Fit): Float64Array<ArrayBuffer> =>
  equalise(warp(samples, warpPercent), taps)

/** Whole hundredths keep the resampler's table at a hundred phases. */
const warp = (samples: Int16Array, warpPercent: number): Float64Array => {
  if (warpPercent === 100) return Float64Array.from(samples)
  const resampler = makeResampler(warpPercent, 100)
  const output = new Float64Array(Math.round((samples.length * 100) / warpPercent))
  const settled = resampler.push(samples)
  output.set(settled)
  output.set(resampler.end(), settled.length)
  return output
}
