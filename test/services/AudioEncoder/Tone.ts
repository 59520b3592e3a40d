/**
 * A voice-like test signal that is known as a function of time, so that it can be had at any sample rate without a
 * resampler: harmonics up to 3.3 kHz under a slow swell, silent at both ends.
 */

const partials = [
  { hertz: 137, level: 0.3 },
  { hertz: 411, level: 0.2 },
  { hertz: 959, level: 0.12 },
  { hertz: 1781, level: 0.08 },
  { hertz: 2603, level: 0.05 },
  { hertz: 3288, level: 0.03 }
]

/** `samples` at `sampleRate`, of a signal that lasts `seconds`; full scale is 1. */
export const tone = (sampleRate: number, samples: number, seconds: number): Float64Array =>
  Float64Array.from({ length: samples }, (_, n) => {
    const t = n / sampleRate
    const swell = Math.sin(Math.PI * Math.min(1, t / seconds)) ** 2
    return swell * partials.reduce((sum, { hertz, level }, i) => sum + level * Math.sin(2 * Math.PI * hertz * t + i), 0)
  })

/** As s16le. */
export const pcmOf = (signal: Float64Array): Uint8Array =>
  new Uint8Array(Int16Array.from(signal, (value) => Math.round(value * 32767)).buffer)

export const samplesOf = (pcm: Uint8Array): Int16Array => new Int16Array(new Uint8Array(pcm).buffer)

/** How much louder the wanted signal is than what differs from it, dB, over the shorter of both. */
export const snrDb = (wanted: ArrayLike<number>, found: ArrayLike<number>, scale = 1): number => {
  let signal = 0
  let noise = 0
  for (let i = 0; i < Math.min(wanted.length, found.length); i++) {
    signal += wanted[i]! ** 2
    noise += (wanted[i]! - found[i]! * scale) ** 2
  }
  return 10 * Math.log10(signal / noise)
}
