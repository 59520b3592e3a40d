/** The length of a FLAC file, read from its last frame and written into its header (RFC 9639). */

/** Bytes before STREAMINFO's content: "fLaC" and the block's header. */
const streamInfoOffset = 8
/** A fixed-block-size frame header: sync code, block size and rate, channels and bits, number, at most 2 + 2, CRC-8. */
const frameHeaderBytesMin = 6

/** Writes the total number of samples into STREAMINFO, in place. A file without frames stays as it is. */
export const flacWithLength = (file: Uint8Array): void => {
  const last = lastFrame(file)
  if (last === undefined) return
  const blockSize = (file[streamInfoOffset]! << 8) | file[streamInfoOffset + 1]!
  writeSamples(file, last.number * blockSize + last.samples)
}

/** Writes a known number of samples into the header, which is the beginning of `file`, in place. */
export const writeSamples = (file: Uint8Array, samples: number): void => {
  const view = new DataView(file.buffer, file.byteOffset + streamInfoOffset)
  // 36 bits, after 4 that belong to the sample size.
  view.setUint8(13, (view.getUint8(13) & 0xf0) | Math.floor(samples / 2 ** 32))
  view.setUint32(14, samples % 2 ** 32)
}

interface Frame {
  /** Counts from 0. */
  readonly number: number
  readonly samples: number
}

/** Searches backwards: a frame runs from a header with a true CRC-8 to a true CRC-16 at the end of the file. */
const lastFrame = (file: Uint8Array): Frame | undefined => {
  for (let start = file.length - frameHeaderBytesMin - 2; start >= streamInfoOffset; start--) {
    if (file[start] !== 0xff || file[start + 1] !== 0xf8) continue
    const frame = frameHeader(file, start)
    if (frame !== undefined && crc(file.subarray(start), 16, 0x8005) === 0) return frame
  }
  return undefined
}

const frameHeader = (file: Uint8Array, start: number): Frame | undefined => {
  const sizeCode = file[start + 2]! >> 4
  const rateCode = file[start + 2]! & 0xf
  const coded = codedNumber(file, start + 4)
  if (coded === undefined) return undefined
  let end = coded.end
  let samples = 0
  if (sizeCode === 1) samples = 192
  else if (sizeCode >= 2 && sizeCode <= 5) samples = 576 << (sizeCode - 2)
  else if (sizeCode === 6) samples = file[end++]! + 1
  else if (sizeCode === 7) samples = ((file[end++]! << 8) | file[end++]!) + 1
  else if (sizeCode >= 8) samples = 256 << (sizeCode - 8)
  else return undefined
  if (rateCode === 12) end += 1
  else if (rateCode === 13 || rateCode === 14) end += 2
  return crc(file.subarray(start, end + 1), 8, 0x07) === 0 ? { number: coded.value, samples } : undefined
}

/** A number in the extended UTF-8 of RFC 9639 §9.1.5. */
const codedNumber = (file: Uint8Array, at: number): { readonly value: number; readonly end: number } | undefined => {
  const first = file[at]!
  if (first < 0x80) return { value: first, end: at + 1 }
  const length = Math.clz32(~(first << 24))
  if (length < 2 || length > 7) return undefined
  let value = first & (0x7f >> length)
  for (let i = 1; i < length; i++) value = value * 64 + (file[at + i]! & 0x3f)
  return { value, end: at + length }
}

/** Remainder of a CRC over bytes that end with the CRC itself: 0 if nothing is broken. */
const crc = (bytes: Uint8Array, bits: 8 | 16, polynomial: number): number => {
  const top = 1 << (bits - 1)
  const mask = (1 << bits) - 1
  let remainder = 0
  for (const byte of bytes) {
    remainder ^= byte << (bits - 8)
    for (let bit = 0; bit < 8; bit++) {
      remainder = ((remainder & top) === 0 ? remainder << 1 : (remainder << 1) ^ polynomial) & mask
    }
  }
  return remainder
}
