/**
 * Chooses the voice that can be bent to a speaker with the least force: which one, and by how much its vocal tract has to
 * shrink or grow.
 *
 * A vocal tract that is shorter by a factor moves every formant up by it (the idea of vocal tract length normalisation; Lee
 * and Rose, "A frequency warping approach to speaker normalization", IEEE Trans. SAP 6, 1998). The level and the tilt of
 * the two spectra are left out: they tell of microphones, and an equaliser mends them.
 */
import { bandCount, bandHz, readBands } from "./MelEnvelope.ts"
import type { Profile } from "./Profile.ts"

/** A voice that can be fitted. */
export interface Base {
  /** A voice inside the build. */
  readonly name: string
  /** Median pitch of the voice as it is, Hz. */
  readonly f0Hz: number
  /** dB in each mel band, as in {@link Profile}. */
  readonly envelopeDb: ArrayLike<number>
  /** How far it may be warped, hundredths: beyond, it is not understood. */
  readonly warpPercentMin: number
  readonly warpPercentMax: number
}

export interface Match {
  readonly base: Base
  /** Hundredths: formants of the base times this, over 100, are the speaker's. */
  readonly warpPercent: number
}

/** Where formants lie, and most clips reach. */
const compareHzMin = 200
const compareHzMax = 5000
/** A band that is further off is missing from the clip, not different; dB. */
const differenceDbMax = 12
/** dB of mismatch that an octave of pitch shift is worth, and one of warp: a voice sounds strained far from its own. */
const pitchStrainDb = 3
const warpStrainDb = 2

/** The best of `bases`, of which there is one at least. */
export const match = (target: Profile, bases: ReadonlyArray<Base>): Match => {
  const candidates = bases.flatMap((base) =>
    Array.from({ length: base.warpPercentMax - base.warpPercentMin + 1 }, (_, i) => {
      const warpPercent = base.warpPercentMin + i
      return { base, warpPercent, cost: costOf(target, base, warpPercent) }
    })
  )
  return candidates.reduce((best, one) => (one.cost < best.cost ? one : best))
}

/** dB. */
const costOf = (target: Profile, base: Base, warpPercent: number): number => {
  const warp = warpPercent / 100
  const octaves = Math.abs(Math.log2(target.f0Hz / warp / base.f0Hz))
  const strain = pitchStrainDb * octaves + warpStrainDb * Math.abs(Math.log2(warp))
  return mismatch(target.envelopeDb, base.envelopeDb, warp) + strain
}

const compared = Array.from({ length: bandCount }, (_, band) => band).filter((band) =>
  bandHz[band]! >= compareHzMin && bandHz[band]! <= compareHzMax
)

/** Root mean square difference of two envelopes, the second one warped, without level and tilt; dB. */
export const mismatch = (target: ArrayLike<number>, base: ArrayLike<number>, warp: number): number => {
  const rough = residuals(compared.map((band) => target[band]! - readBands(base, bandHz[band]! / warp)))
  const clipped = residuals(rough.map((db) => Math.min(Math.max(db, -differenceDbMax), differenceDbMax)))
  return Math.sqrt(clipped.reduce((sum, db) => sum + db * db, 0) / clipped.length)
}

/** What a straight line, fitted by least squares, leaves. */
const residuals = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const middle = (values.length - 1) / 2
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const slope = values.reduce((sum, value, i) => sum + (i - middle) * value, 0) /
    values.reduce((sum, _, i) => sum + (i - middle) ** 2, 0)
  return values.map((value, i) => value - mean - slope * (i - middle))
}
