/**
 * How far speech stands above the noise behind it, dB, up to 8 kHz: the mean power of the active parts against that of
 * the noise, which is looked for in each band of frequencies at the quietest moments (after Martin, "Noise power spectral
 * density estimation based on optimal smoothing and minimum statistics", IEEE TSAP 9, 2001).
 */
import { hopMillis } from "./Activity.ts"
import { hann, makeSpectrum } from "./Spectrum.ts"

/** Hz, of the signal. */
export const snrRate = 16_000
/** Beyond what 16 bits hold. */
const snrDbMax = 100
/** Nothing is told apart below; where nobody speaks, nothing is to be told apart. */
const snrDbMin = 0
const windowSamples = 512
/** Half overlapping frames of 32 ms. */
const stepSamples = windowSamples / 2
/** Frames over which powers are averaged: 112 ms. */
const smoothFrames = 6
/** Share of the smoothed frames that speech is taken to leave alone in each band. */
const quietShare = 0.1
/** Edges of the bands, Hz: about a critical band each (Zwicker 1961), the lowest two together. */
const edges = [
  60,
  200,
  300,
  400,
  510,
  630,
  770,
  920,
  1080,
  1270,
  1480,
  1720,
  2000,
  2320,
  2700,
  3150,
  3700,
  4400,
  5300,
  6400,
  7900
]

/** `samples` at {@link snrRate}; `active`: one entry a frame of `Activity.ts`. */
export const estimateSnr = (samples: Float32Array, active: Uint8Array): number => {
  const bands = bandPowers(samples)
  const frames = bands[0]!.length
  let noise = 0
  let both = 0
  for (const [band, powers] of bands.entries()) {
    const [from, to] = binsOf(band)
    const smoothed = smooth(powers)
    const sorted = Float64Array.from(smoothed).sort()
    noise += (sorted[Math.floor(sorted.length * quietShare)] ?? 0) * biasOf(to - from)
  }
  let count = 0
  for (let n = 0; n < frames; n++) {
    if (active[Math.round((n * stepSamples * 1000) / snrRate / hopMillis)] !== 1) continue
    count++
    for (const powers of bands) both += powers[n]!
  }
  both = count === 0 ? 0 : both / count
  const speech = Math.max(0, both - noise)
  if (!(speech > 0)) return snrDbMin
  return Math.min(snrDbMax, Math.max(snrDbMin, 10 * Math.log10(speech / Math.max(noise, Number.MIN_VALUE))))
}

const binHertz = snrRate / windowSamples
const binsOf = (band: number) => [Math.ceil(edges[band]! / binHertz), Math.ceil(edges[band + 1]! / binHertz)] as const

const bandPowers = (samples: Float32Array): ReadonlyArray<Float64Array> => {
  const spectrum = makeSpectrum(windowSamples)
  const window = hann(windowSamples)
  const frames = Math.max(0, Math.floor((samples.length - windowSamples) / stepSamples) + 1)
  const bands = Array.from({ length: edges.length - 1 }, () => new Float64Array(frames))
  const frame = new Float64Array(windowSamples)
  for (let n = 0; n < frames; n++) {
    for (let i = 0; i < windowSamples; i++) frame[i] = samples[n * stepSamples + i]! * window[i]!
    const powers = spectrum.powers(frame)
    for (const [band, into] of bands.entries()) {
      const [from, to] = binsOf(band)
      for (let k = from; k < to; k++) into[n]! += powers[k]!
    }
  }
  return bands
}

const smooth = (powers: Float64Array): Float64Array =>
  Float64Array.from({ length: Math.max(1, powers.length - smoothFrames + 1) }, (_, n) => {
    let sum = 0
    for (let i = 0; i < smoothFrames; i++) sum += powers[n + i] ?? 0
    return sum / smoothFrames
  })

/**
 * How much louder noise is than its quietest moments in a band of `bins` frequencies: an averaged power spreads like a
 * gamma distribution whose shape is the number of independent values in it, and its quantile follows from the
 * approximation of Wilson and Hilferty (1931).
 */
const biasOf = (bins: number): number => {
  // A Hann window leaves two of three neighbouring frequencies, and its half overlapping frames nearly all, independent.
  const shape = ((bins * 2) / 3) * smoothFrames * 0.9
  return (1 - 1 / (9 * shape) - quietDeviation / Math.sqrt(9 * shape)) ** -3
}

/** Standard deviations below the mean at which a normal distribution has {@link quietShare} behind it. */
const quietDeviation = 1.2816
