/**
 * Speech with a known truth: five vowels of a man, made from pulses and resonators, with any pitch and any length of the
 * vocal tract.
 */

/** Formants 1 to 4 in Hz of a man's i, e, a, o, u (Peterson and Barney, "Control methods used in a study of the vowels", 1952). */
const formants = [
  [270, 2290, 3010, 3700],
  [530, 1840, 2480, 3600],
  [730, 1090, 2440, 3500],
  [570, 840, 2410, 3400],
  [300, 870, 2240, 3300]
] as const
const bandwidths = [60, 90, 120, 175] as const
const vowelSeconds = 0.5
const rate = 16000

/** All five, one after the other; 16 kHz. `scale` multiplies every formant: 1.17 is a woman's vocal tract. */
export const vowels = (f0Hz: number, scale: number): Float64Array => {
  const length = vowelSeconds * rate
  const all = new Float64Array(formants.length * length)
  formants.forEach((row, v) => {
    let wave = pulses(f0Hz, length)
    row.forEach((hz, i) => {
      wave = resonate(wave, hz * scale, bandwidths[i]! * scale)
    })
    const peak = wave.reduce((max, sample) => Math.max(max, Math.abs(sample)), 0)
    all.set(wave.map((sample) => (0.3 * sample) / peak), v * length)
  })
  return all
}

/** Harmonics of equal strength, so that the period need not be a whole number of samples. */
export const pulses = (f0Hz: number, length: number): Float64Array =>
  Float64Array.from({ length }, (_, n) => {
    let sum = 0
    for (let k = 1; k * f0Hz < 0.45 * rate; k++) sum += Math.cos((2 * Math.PI * k * f0Hz * n) / rate) / k
    return 0.1 * sum
  })

const resonate = (input: Float64Array, hz: number, bandwidthHz: number): Float64Array => {
  const radius = Math.exp((-Math.PI * bandwidthHz) / rate)
  const b = 2 * radius * Math.cos((2 * Math.PI * hz) / rate)
  const c = -radius * radius
  const output = new Float64Array(input.length)
  input.forEach((sample, n) => {
    output[n] = (1 - b - c) * sample + b * (output[n - 1] ?? 0) + c * (output[n - 2] ?? 0)
  })
  return output
}
