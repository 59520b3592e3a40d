/**
 * Makes a fit by listening: the chosen voice says one sentence, is measured as the target was, and what it misses is
 * corrected. So the outcome does not depend on how truly an engine keeps the pitch it is asked for, nor on how its
 * spectrum moves with it.
 */
import { designEqualiser } from "./Equaliser.ts"
import type { Fit } from "./Fit.ts"
import { bandCount } from "./MelEnvelope.ts"
import { measureProfile, type Profile } from "./Profile.ts"

/** How the voice shall sound. */
export interface Target {
  readonly warpPercent: number
  /** Median pitch, Hz. */
  readonly f0Hz: number
  readonly f0Semitones: number
  /** dB in each mel band: the spectrum to come to, or the equaliser itself. */
  readonly spectrum: { readonly envelopeDb: ArrayLike<number> } | { readonly curveDb: ArrayLike<number> }
}

/** Says a sentence that holds most sounds of English; 16 kHz, 1 is full scale. */
export type Speak = (fit: Fit) => Float64Array

/** The second round moves the pitch by 1 % at most and the spectrum by 1 dB. */
const rounds = 2
/** The equaliser's reach: more would lift what a clip's microphone never heard. */
const curveDbMax = 12
/** Bands to either side that a band is averaged with. */
const smoothBands = 1
/** What the pitch may be asked to be beyond the target, as a factor either way. */
const f0CorrectionMax = 1.5
const spreadCorrectionMax = 1.25

export const tune = (target: Target, speak: Speak, sampleRate: number): Fit => {
  const warp = target.warpPercent / 100
  const f0Hz = target.f0Hz / warp
  const spreadHz = f0Hz * (2 ** (target.f0Semitones / 12) - 1)
  let f0Factor = 1
  let spreadFactor = 1
  let curveDb = "curveDb" in target.spectrum ? Float64Array.from(target.spectrum.curveDb) : new Float64Array(bandCount)
  const current = (): Fit => ({
    f0MeanHz: f0Hz * f0Factor,
    f0SpreadHz: spreadHz * spreadFactor,
    warpPercent: target.warpPercent,
    taps: designEqualiser(curveDb, sampleRate)
  })
  for (let round = 0; round < rounds; round++) {
    const heard = measureProfile(speak(current()), sampleRate)
    // A voice bent out of all shape is left as it was asked for.
    if ("refused" in heard) break
    f0Factor = within(f0Factor * (target.f0Hz / heard.f0Hz), f0CorrectionMax)
    spreadFactor = within(spreadFactor * (target.f0Semitones / heard.f0Semitones), spreadCorrectionMax)
    if ("envelopeDb" in target.spectrum) curveDb = correct(curveDb, target.spectrum.envelopeDb, heard)
  }
  return current()
}

const within = (factor: number, max: number): number => Math.min(Math.max(factor, 1 / max), max)

/** The curve that brings what was heard to the target: smoothed, level-free and kept within {@link curveDbMax}. */
const correct = (curveDb: Float64Array, targetDb: ArrayLike<number>, heard: Profile) => {
  const wanted = curveDb.map((db, band) => db + targetDb[band]! - heard.envelopeDb[band]!)
  const smooth = wanted.map((_, band) => mean(wanted.subarray(Math.max(0, band - smoothBands), band + smoothBands + 1)))
  // The median, for a clip without treble would drag the mean down.
  const level = smooth.toSorted()[bandCount / 2]!
  return smooth.map((db) => Math.min(Math.max(db - level, -curveDbMax), curveDbMax))
}

const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length
