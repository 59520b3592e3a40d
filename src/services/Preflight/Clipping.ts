/**
 * What share of a clip is clipped: moments at full scale in any channel, and flat tops below it, as a recording has that
 * was clipped first and turned down later.
 */
import type { Sound } from "../AudioDecoder/Take.ts"

/** A wave bends within three samples by more than this, of full scale: half a step of 16 bits. */
const flatMax = 2 ** -16
const runMin = 3
/** How near the extreme a flat top has to lie. */
const topShare = 0.999

export const clippingRatio = ({ fullScaleRatio, samples }: Sound): number => {
  let high = 0
  let low = 0
  for (const value of samples) {
    if (value > high) high = value
    if (value < low) low = value
  }
  let flat = 0
  for (let from = 0; from < samples.length;) {
    const first = samples[from]!
    let to = from + 1
    if (first !== 0 && (first >= high * topShare || first <= low * topShare)) {
      while (to < samples.length && Math.abs(samples[to]! - first) <= flatMax) to++
      if (to - from >= runMin) flat += to - from
    }
    from = to
  }
  return Math.max(fullScaleRatio, flat / samples.length)
}
