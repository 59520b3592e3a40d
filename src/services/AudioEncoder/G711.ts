/**
 * ITU-T G.711 companding of 16-bit samples to 8 bits: μ-law and A-law.
 *
 * Bit-exact with the reference of ITU-T G.191 (`ulaw_compress`, `alaw_compress`): magnitudes of negative samples are
 * taken in ones' complement, which keeps the two halves of the curve mirror images.
 */
import { bytesPerSample } from "../../domain/AudioFormat.ts"

/** Decision levels start here, in the 14-bit domain (G.711 table 2a). */
const mulawBias = 33
/** Largest biased magnitude, 13 bits. */
const mulawMagnitudeMax = 0x1fff

/** One sample (-32768 to 32767) to its code. */
export const mulawCode = (sample: number): number => {
  const magnitude = Math.min((sample < 0 ? ~sample : sample) >> 2, mulawMagnitudeMax - mulawBias) + mulawBias
  const segment = 26 - Math.clz32(magnitude)
  const code = ~((segment << 4) | ((magnitude >> (segment + 1)) & 0xf)) & 0x7f
  return sample < 0 ? code : code | 0x80
}

/** One sample (-32768 to 32767) to its code, even bits inverted as on the line. */
export const alawCode = (sample: number): number => {
  const magnitude = (sample < 0 ? ~sample : sample) >> 4
  // The first two segments are one straight line; from there each doubles the step.
  const segment = Math.max(1, 28 - Math.clz32(magnitude))
  const code = magnitude < 16 ? magnitude : (segment << 4) | ((magnitude >> (segment - 1)) & 0xf)
  return (sample < 0 ? code : code | 0x80) ^ 0x55
}

const tabulate = (codeOf: (sample: number) => number): Uint8Array =>
  Uint8Array.from({ length: 0x10000 }, (_, bits) => codeOf((bits << 16) >> 16))

const tables = { mulaw: tabulate(mulawCode), alaw: tabulate(alawCode) }

/** Compands s16le bytes into `codes`, which holds one byte a sample. Any alignment. */
export const compand = (law: "mulaw" | "alaw", pcm: Uint8Array, codes: Uint8Array): void => {
  const table = tables[law]
  const samples = pcm.length / bytesPerSample
  for (let i = 0; i < samples; i++) codes[i] = table[pcm[2 * i]! | (pcm[2 * i + 1]! << 8)]!
}
