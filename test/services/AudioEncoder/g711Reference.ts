/** G.711 decoders by the formulas of the recommendation's tables (1a, 1b for A-law, 2a, 2b for μ-law), to 16 bits. */

/** Output value y = (2 · mantissa + 33) · 2^segment − 33 of 14 bits; every bit of the code is inverted. */
export const mulawSample = (code: number): number => {
  const plain = ~code & 0xff
  const segment = (plain >> 4) & 7
  const magnitude = (2 * (plain & 0xf) + 33) * 2 ** segment - 33
  return 4 * ((plain & 0x80) === 0 ? magnitude : -magnitude)
}

/** Output value 2 · mantissa + 1 in the lowest segment, else (2 · mantissa + 33) · 2^(segment − 1), of 13 bits. */
export const alawSample = (code: number): number => {
  const plain = code ^ 0x55
  const segment = (plain >> 4) & 7
  const mantissa = plain & 0xf
  const magnitude = segment === 0 ? 2 * mantissa + 1 : (2 * mantissa + 33) * 2 ** (segment - 1)
  return 8 * ((plain & 0x80) === 0 ? -magnitude : magnitude)
}
