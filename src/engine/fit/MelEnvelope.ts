/**
 * The long-term spectrum of a voice as the ear weighs it: the mean level of its speech frames in bands of equal width in
 * mel (O'Shaughnessy's formula, m = 2595 lg(1 + f / 700 Hz)).
 */
import { fftOf } from "../../services/Fft.ts"

/** Hz: below lies rumble, above what a 16 kHz clip has been filtered at. */
const lowestHz = 80
const highestHz = 7600
export const bandCount = 40
const frameLength = 512
export const envelopeHopMillis = 10
/** Frames this far under the loudest are pauses and breath; dB. */
const gateDb = 20
/** The loudest is taken at this quantile, so that one click does not decide. */
const loudQuantile = 0.95
/** Of a band in a frame, dB under full scale squared: keeps digital silence out of the logarithm. */
const floorPower = 1e-10

const mel = (hz: number): number => 2595 * Math.log10(1 + hz / 700)
const hertz = (mels: number): number => 700 * (10 ** (mels / 2595) - 1)
const bandMels = (mel(highestHz) - mel(lowestHz)) / (bandCount + 1)

/** Hz of each band's middle. */
export const bandHz: ReadonlyArray<number> = Array.from(
  { length: bandCount },
  (_, band) => hertz(mel(lowestHz) + (band + 1) * bandMels)
)

/** The place of a frequency among the bands: 0 is the first one's middle. */
export const bandOf = (hz: number): number => (mel(hz) - mel(lowestHz)) / bandMels - 1

/** A curve over the bands read between them, level beyond its ends. */
export const readBands = (curve: ArrayLike<number>, hz: number): number => {
  const at = Math.min(Math.max(bandOf(hz), 0), curve.length - 1)
  const below = Math.floor(at)
  const left = curve[below]!
  return left + (at - below) * ((curve[below + 1] ?? left) - left)
}

export interface MelEnvelope {
  /** dB in each of {@link bandHz}, mean over the speech frames. */
  readonly meanDb: Float64Array
  /** dB in each band of each frame of {@link envelopeHopMillis}. */
  readonly frames: ReadonlyArray<Float64Array>
  /** Whether each frame is speech. */
  readonly heard: ReadonlyArray<boolean>
}

/** `samples` at 16 kHz, 1 is full scale. */
export const melEnvelope = (samples: Float64Array, sampleRate: number): MelEnvelope => {
  const fft = fftOf(frameLength)
  const bands = bandsOf(sampleRate)
  const hop = (sampleRate * envelopeHopMillis) / 1000
  const re = new Float64Array(frameLength)
  const im = new Float64Array(frameLength)
  const frames: Array<Float64Array> = []
  const levels: Array<number> = []
  for (let start = 0; start + frameLength <= samples.length; start += hop) {
    let power = 0
    for (let i = 0; i < frameLength; i++) {
      const sample = samples[start + i]!
      power += sample * sample
      re[i] = sample * hann[i]!
    }
    im.fill(0)
    fft.forward(re, im)
    frames.push(bandLevels(bands, re, im))
    levels.push(decibel(power / frameLength))
  }
  const loudest = levels.toSorted((a, b) => a - b)[Math.floor(levels.length * loudQuantile)] ?? 0
  const heard = levels.map((level) => level > loudest - gateDb && level > -70)
  const meanDb = new Float64Array(bandCount)
  const count = heard.filter(Boolean).length
  frames.forEach((frame, i) => {
    if (heard[i]) { for (let band = 0; band < bandCount; band++) meanDb[band]! += frame[band]! / count }
  })
  return { meanDb, frames, heard }
}

const hann = Float64Array.from({ length: frameLength }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / frameLength))

const decibel = (power: number): number => 10 * Math.log10(power + floorPower)

interface Band {
  readonly firstBin: number
  readonly weights: Float64Array
}

const bandLevels = (bands: ReadonlyArray<Band>, re: Float64Array, im: Float64Array): Float64Array =>
  Float64Array.from(bands, ({ firstBin, weights }) => {
    let power = 0
    for (let i = 0; i < weights.length; i++) {
      const bin = firstBin + i
      power += weights[i]! * (re[bin]! * re[bin]! + im[bin]! * im[bin]!)
    }
    return decibel(power / frameLength ** 2)
  })

const known = new Map<number, ReadonlyArray<Band>>()

/** Triangles that reach to their neighbours' middles, each of the same sum. */
const bandsOf = (sampleRate: number): ReadonlyArray<Band> => {
  const found = known.get(sampleRate)
  if (found !== undefined) return found
  const bands = bandHz.map((_, band) => {
    const weigh = (bin: number) => Math.max(0, 1 - Math.abs(bandOf((bin * sampleRate) / frameLength) - band))
    const bins = Array.from({ length: frameLength / 2 }, (_, bin) => bin).filter((bin) => bin > 0 && weigh(bin) > 0)
    const weights = Float64Array.from(bins, weigh)
    const sum = weights.reduce((total, weight) => total + weight, 0)
    return { firstBin: bins[0]!, weights: weights.map((weight) => weight / sum) }
  })
  known.set(sampleRate, bands)
  return bands
}
