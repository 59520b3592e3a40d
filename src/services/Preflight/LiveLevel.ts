/**
 * Level and activity of sound as it comes, by the measure that finished clips are held to (`Activity.ts`), over the last
 * seconds. Each frame is analysed once: a tenth of a second of sound costs about half a millisecond.
 */
import { makeResampler } from "../Resampler.ts"
import { activityOf, activityRate, analyse, hopMillis, windowMillis } from "./Activity.ts"

/** What the noise floor is told by. */
const heardFrames = 3000 / hopMillis
const hopSamples = (activityRate * hopMillis) / 1000
const windowSamples = (activityRate * windowMillis) / 1000
const dbfsMin = -120

export interface LiveLevel {
  /** RMS of the block, dBFS, −120 for silence; and whether somebody speaks at its end. */
  readonly push: (pcm: Int16Array) => { readonly dbfs: number; readonly active: boolean }
}

/** `sampleRate`: Hz. */
export const makeLiveLevel = (sampleRate: number): LiveLevel => {
  const resampler = makeResampler(sampleRate, activityRate)
  let rest = new Float32Array(0)
  let levels: ReadonlyArray<number> = []
  let pitches: ReadonlyArray<number> = []

  return {
    push: (pcm) => {
      let sum = 0
      for (const value of pcm) sum += value * value
      const dbfs = pcm.length === 0 ? dbfsMin : 10 * Math.log10(sum / pcm.length / 2 ** 30 + 1e-12)

      const narrow = resampler.push(pcm)
      const waiting = new Float32Array(rest.length + narrow.length)
      waiting.set(rest)
      for (let n = 0; n < narrow.length; n++) waiting[rest.length + n] = narrow[n]! / 32_768
      const frames = analyse(waiting)
      levels = [...levels, ...frames.levels].slice(-heardFrames)
      pitches = [...pitches, ...frames.pitches].slice(-heardFrames)
      rest = waiting.slice(waiting.length < windowSamples ? 0 : frames.levels.length * hopSamples)
      const active = activityOf({ levels: Float64Array.from(levels), pitches: Float64Array.from(pitches) })
      return { dbfs: Number(Math.max(dbfsMin, dbfs).toFixed(1)), active: active.at(-1) === 1 }
    }
  }
}
