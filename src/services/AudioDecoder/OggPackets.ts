/** The packets of the first logical stream of an Ogg file (RFC 3533 §6), as far as its pages are whole. */
import { Undecodable } from "./Take.ts"

export interface OggPacket {
  readonly bytes: Uint8Array
  /** Position of the end of the page that the packet ends on; −1 when no packet ends there. */
  readonly granule: number
}

const headerBytes = 27
/** Far beyond any packet of speech; what is larger is made to fill memory. */
const packetBytesMax = 64 * 1024
const continues = 0x01
const ends = 0x04

export function* oggPackets(file: Uint8Array): Generator<OggPacket> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  let serial: number | undefined
  let begun: Array<Uint8Array> = []
  for (let at = 0; at + headerBytes <= file.length;) {
    // "OggS"
    if (view.getUint32(at) !== 0x4f676753) return
    const flags = file[at + 5]!
    const granule = Number(view.getBigInt64(at + 6, true))
    const lacing = file.subarray(at + headerBytes, at + headerBytes + file[at + 26]!)
    const owner = view.getUint32(at + 14, true)
    let from = at + headerBytes + lacing.length
    at = from + lacing.reduce((sum, size) => sum + size, 0)
    if (at > file.length) return
    serial ??= owner
    if (owner !== serial) continue
    if ((flags & continues) === 0) begun = []
    let size = 0
    for (const segment of lacing) {
      size += segment
      if (segment === 255) continue
      const bytes = Buffer.concat([...begun, file.subarray(from, from + size)])
      yield { bytes, granule }
      begun = []
      from += size
      size = 0
    }
    if (size > 0) begun.push(file.subarray(from, from + size))
    if (begun.reduce((sum, part) => sum + part.length, 0) > packetBytesMax) {
      throw new Undecodable("is Ogg with a packet beyond all measure")
    }
    if ((flags & ends) !== 0) return
  }
}
