/** Ogg pages (RFC 3533 §6) of one logical stream, each holding whole packets. */
import type { ByteSink } from "./ByteSink.ts"

const headerBytes = 27
/** A page's table has at most this many entries (RFC 3533 §6); each stands for up to 255 bytes. */
const segmentsMax = 255
const beginsStream = 0x02
const endsStream = 0x04

/**
 * One logical stream a file, so its serial number need not differ between files; a fixed one makes the same speech the
 * same bytes.
 */
const serialNumber = 0x53636169

/** CRC-32 of Ogg: polynomial 0x04c11db7, not reflected, no initial value, no final inversion. */
const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let bit = 0; bit < 8; bit++) crc = crc < 0 ? (crc << 1) ^ 0x04c11db7 : crc << 1
  return crc
})

export const oggCrc = (bytes: Uint8Array): number => {
  let crc = 0
  for (const byte of bytes) crc = (crc << 8) ^ crcTable[(crc >>> 24) ^ byte]!
  return crc >>> 0
}

export interface OggPage {
  /** Counts from 0; page 0 begins the stream. */
  readonly sequence: number
  readonly packets: ReadonlyArray<Uint8Array>
  /** Samples at 48 kHz up to the end of the page's last packet, pre-skip included (RFC 7845 §4). */
  readonly granule: number
  readonly last: boolean
}

/** Writes one page. Together the packets must fit in it: less than 65 025 bytes. */
export const writePage = (page: OggPage, sink: ByteSink): void => {
  // A packet ends with an entry below 255, an empty one if need be.
  const lacing = page.packets.flatMap((packet) => [
    ...new Uint8Array(packet.length / 255).fill(255),
    packet.length % 255
  ])
  if (lacing.length > segmentsMax) throw new RangeError(`An Ogg page cannot hold ${lacing.length} segments`)
  const length = page.packets.reduce((sum, packet) => sum + packet.length, headerBytes + lacing.length)
  const bytes = sink.reserve(length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  bytes.set(Buffer.from("OggS\0", "latin1"))
  bytes[5] = (page.sequence === 0 ? beginsStream : 0) | (page.last ? endsStream : 0)
  view.setBigInt64(6, BigInt(page.granule), true)
  view.setUint32(14, serialNumber, true)
  view.setUint32(18, page.sequence, true)
  view.setUint32(22, 0, true)
  bytes[26] = lacing.length
  bytes.set(lacing, headerBytes)
  let offset = headerBytes + lacing.length
  for (const packet of page.packets) {
    bytes.set(packet, offset)
    offset += packet.length
  }
  view.setUint32(22, oggCrc(bytes), true)
}
