/** Signals whose truth is known: noise of a given power, music, and speech with gaps. Full scale is 1, rates in Hz. */
import { makeResampler } from "../../../src/services/Resampler.ts"

/** The same numbers each time. */
const random = () => {
  let seed = 1
  return () => {
    seed = (seed * 1_664_525 + 1_013_904_223) >>> 0
    return (seed + 0.5) / 2 ** 32
  }
}

export const whiteNoise = (length: number): Float64Array => {
  const next = random()
  return Float64Array.from(
    { length },
    () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next())
  )
}

/** −3 dB an octave: one-pole filters half a decade apart (Kellet's coefficients, within 0.05 dB above 9 Hz at 44.1 kHz). */
export const pinkNoise = (length: number): Float64Array => {
  const poles = [0.99886, 0.99332, 0.969, 0.8665, 0.55, -0.7616]
  const gains = [0.0555179, 0.0750759, 0.153852, 0.3104856, 0.5329522, -0.016898]
  const state = new Float64Array(poles.length)
  let before = 0
  return whiteNoise(length).map((white) => {
    let sum = before + white * 0.5362
    for (let i = 0; i < poles.length; i++) sum += state[i] = poles[i]! * state[i]! + white * gains[i]!
    before = white * 0.115926
    return sum
  })
}

export const power = (signal: ArrayLike<number>, counts: (n: number) => boolean = () => true): number => {
  let sum = 0
  let count = 0
  for (let n = 0; n < signal.length; n++) {
    if (!counts(n)) continue
    sum += signal[n]! ** 2
    count++
  }
  return sum / count
}

/** Adds noise so that the active parts of speech stand so far above it. Active: within 100 ms of −40 dB of the mean. */
export const withNoise = (speech: Float64Array, noise: Float64Array, snrDb: number, rate: number): Float64Array => {
  const active = activeParts(speech, rate)
  const gain = Math.sqrt(power(speech, (n) => active[n] === 1) / power(noise) / 10 ** (snrDb / 10))
  return speech.map((value, n) => value + gain * noise[n]!)
}

const activeParts = (speech: Float64Array, rate: number): Uint8Array => {
  const least = power(speech) * 1e-4
  const reach = rate / 10
  const hop = rate / 100
  const active = new Uint8Array(speech.length)
  for (let at = 0; at < speech.length; at += hop) {
    if (power(speech.subarray(at, at + hop)) > least) active.fill(1, Math.max(0, at - reach), at + hop + reach)
  }
  return active
}

/** A tone of ten harmonics that dies away. */
const pluck = (seconds: number, hertz: number, decay: number): number => {
  let sum = 0
  for (let harmonic = 1; harmonic <= 10; harmonic++) {
    sum += Math.sin(2 * Math.PI * hertz * harmonic * seconds) / harmonic
  }
  return sum * Math.exp(-decay * seconds)
}

const semitones = (hertz: number, steps: number) => hertz * 2 ** (steps / 12)

export const chords = (rate: number, seconds: number): Float64Array =>
  Float64Array.from({ length: rate * seconds }, (_, n) => {
    const time = n / rate
    const root = [220, 174.61, 196, 164.81][Math.floor(time) % 4]!
    return [0, 4, 7].reduce((sum, step) => sum + 0.05 * pluck(time % 1, semitones(root, step), 2), 0)
  })

/** `noteSeconds` a note. */
export const arpeggio = (rate: number, seconds: number, noteSeconds: number): Float64Array =>
  Float64Array.from({ length: rate * seconds }, (_, n) => {
    const time = n / rate
    const step = [0, 4, 7, 12, 7, 4][Math.floor(time / noteSeconds) % 6]!
    return 0.1 * pluck(time % noteSeconds, semitones(220, step), 4)
  })

export const changeRate = (signal: Float64Array, from: number, to: number): Float64Array => {
  if (from === to) return signal
  const resampler = makeResampler(from, to)
  const first = Float64Array.from(resampler.push(signal))
  return Float64Array.from([...first, ...resampler.end()])
}

/** Nothing beyond `hertz`, at the rate that it had. */
export const bandLimited = (signal: Float64Array, rate: number, hertz: number): Float64Array =>
  changeRate(changeRate(signal, rate, 2 * hertz), 2 * hertz, rate).slice(0, signal.length)

/** Levelled so that its largest sample is `peak`. */
export const toPeak = (signal: Float64Array, peak: number): Float64Array => {
  const largest = signal.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return signal.map((value) => (value * peak) / largest)
}
