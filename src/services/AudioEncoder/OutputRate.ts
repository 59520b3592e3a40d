/** Which sample rate a reply has. */
import { type AudioFormat, formats, type SampleRate } from "../../domain/AudioFormat.ts"

/** The rate nearest to `sourceRate` that the format can carry; the higher of two as near. Hz. */
const nearestRate = (format: AudioFormat, sourceRate: number): SampleRate =>
  formats[format].sampleRates.reduce((best, rate) => {
    const nearer = Math.abs(rate - sourceRate) - Math.abs(best - sourceRate)
    return nearer < 0 || (nearer === 0 && rate > best) ? rate : best
  })

/**
 * The rate audio will have: the asked one, else the format's own default, else the one nearest to the source. Hz.
 *
 * The asked rate must be one of the format's (`SpeakRequest` refuses others).
 */
export const rateFor = (format: AudioFormat, sourceRate: number, asked?: SampleRate): SampleRate => {
  if (asked !== undefined) return asked
  const { defaultRate } = formats[format]
  return defaultRate === "source" ? nearestRate(format, sourceRate) : defaultRate
}
