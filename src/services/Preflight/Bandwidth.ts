/** Up to which frequency a clip has speech in it: what a telephone or a low bit rate took away is missing in the voice. */
import { hopMillis } from "./Activity.ts"
import { hann, makeSpectrum } from "./Spectrum.ts"

const windowMillis = 32
/** Below the loudest frequency: further down lies nothing that is heard beside it. */
const floorDb = 60
/** Above the noise between the words. */
const aboveNoiseDb = 3
/** Frequencies averaged to either side, so that one that is loud by chance does not count. */
const spread = 3
/** Share of the frames that are taken for noise. */
const quietShare = 0.1

/** Hz. `active`: one entry a frame of `Activity.ts`; without any speech in it all frames count. */
export const measureBandwidth = (samples: Float32Array, sampleRate: number, active: Uint8Array): number => {
  const size = 2 ** Math.ceil(Math.log2((sampleRate * windowMillis) / 1000))
  const step = size / 2
  const spectrum = makeSpectrum(size)
  const window = hann(size)
  const count = Math.max(0, Math.floor((samples.length - size) / step) + 1)
  const quiet = quietest(samples, size, step, count)
  const speech = new Float64Array(size / 2 + 1)
  const noise = new Float64Array(size / 2 + 1)
  const anySpeech = active.includes(1)
  const frame = new Float64Array(size)
  let speechFrames = 0
  for (let n = 0; n < count; n++) {
    const isSpeech = !anySpeech || active[Math.round((n * step * 1000) / sampleRate / hopMillis)] === 1
    const isQuiet = quiet.has(n)
    if (!isSpeech && !isQuiet) continue
    for (let i = 0; i < size; i++) frame[i] = samples[n * step + i]! * window[i]!
    const powers = spectrum.powers(frame)
    if (isSpeech) speechFrames++
    for (let k = 0; k < powers.length; k++) {
      if (isSpeech) speech[k]! += powers[k]!
      if (isQuiet) noise[k]! += powers[k]! / quiet.size
    }
  }
  const loud = smooth(speech.map((power) => power / Math.max(1, speechFrames)))
  const still = smooth(noise)
  const least = Math.max(...loud) * 10 ** (-floorDb / 10)
  const top = loud.findLastIndex((power, k) => power > least && power > still[k]! * 10 ** (aboveNoiseDb / 10))
  return top === -1 ? 0 : Math.round((top * sampleRate) / size)
}

/** Numbers of the quietest frames. */
const quietest = (samples: Float32Array, size: number, step: number, count: number): ReadonlySet<number> => {
  const levels = Float64Array.from({ length: count }, (_, n) => {
    let sum = 0
    for (let i = n * step; i < n * step + size; i++) sum += samples[i]! ** 2
    return sum
  })
  const order = Array.from(levels.keys()).sort((a, b) => levels[a]! - levels[b]!)
  return new Set(order.slice(0, Math.ceil(count * quietShare)))
}

const smooth = (powers: Float64Array): Float64Array =>
  powers.map((_, k) => {
    const part = powers.subarray(Math.max(0, k - spread), k + spread + 1)
    return part.reduce((sum, power) => sum + power, 0) / part.length
  })
