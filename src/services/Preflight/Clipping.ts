/**
 * What share of a clip is clipped: moments at full scale in any channel, and flat tops below it, as a recording has that
 * was clipped first and turned down later.
 */
import type { Sound } from "../AudioDecoder/Take.ts"

/** A wave bends within three samples by more than this, of full scale: half a step of 16 bits. Eight bits cannot tell. */
const flatMax = 2 ** -16
const runMin = 3
export const clippingRatio = ({ fullScaleRatio, samples }: Sound): number => {
  let high = 0
  let low = 0
  for (const value of samples) {
    if (value > high) high = value
    if (value < low) low = value
  }
  return Math.max(fullScaleRatio, (flatTops(samples, high) + flatTops(samples, low)) / samples.length)
}

/** How many samples lie at the extreme, when some of them lie there in a row: else it is the top of a wave. */
const flatTops = (samples: Float32Array, extreme: number): number => {
  if (Math.abs(extreme) <= flatMax) return 0
  let count = 0
  let run = 0
  let longest = 0
  for (const value of samples) {
    run = Math.abs(value - extreme) <= flatMax ? run + 1 : 0
    if (run > 0) count++
    longest = Math.max(longest, run)
  }
  return longest >= runMin ? count : 0
}
