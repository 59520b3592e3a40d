/** Reads an Ogg Opus file (RFC 3533, RFC 7845) and checks everything that can be wrong with its pages. */
import assert from "node:assert/strict"

export interface OggOpus {
  /** At 48 kHz. */
  readonly preSkip: number
  readonly sampleRate: number
  /** Position of the last whole page at 48 kHz, pre-skip included. */
  readonly granule: number
  /** Whether the last page ends the stream. */
  readonly ended: boolean
  /** Audio packets, headers left out. */
  readonly packets: ReadonlyArray<Uint8Array>
  /** Audio packets on each page. */
  readonly packetsOnPages: ReadonlyArray<number>
}

export const readOgg = (file: Uint8Array): OggOpus => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const packets: Array<Uint8Array> = []
  const packetsOnPages: Array<number> = []
  let granule = 0
  let ended = false
  let sequence = 0
  for (let offset = 0; offset < file.length;) {
    assert.ok(!ended, "nothing after the end")
    assert.equal(Buffer.from(file.subarray(offset, offset + 4)).toString(), "OggS")
    const flags = file[offset + 5]!
    assert.equal(flags & 2, sequence === 0 ? 2 : 0, "only the first page begins the stream")
    assert.equal(flags & 1, 0, "no packet is split")
    ended = (flags & 4) !== 0
    const position = Number(view.getBigInt64(offset + 6, true))
    assert.ok(position >= granule, "positions never go back")
    granule = position
    assert.equal(view.getUint32(offset + 18, true), sequence++)
    const segments = file[offset + 26]!
    const lacing = file.subarray(offset + 27, offset + 27 + segments)
    const length = 27 + segments + lacing.reduce((sum, size) => sum + size, 0)
    const page = new Uint8Array(file.subarray(offset, offset + length))
    const checksum = view.getUint32(offset + 22, true)
    page.fill(0, 22, 26)
    assert.equal(crcBitByBit(page), checksum)
    let at = 27 + segments
    let size = 0
    let count = 0
    for (const segment of lacing) {
      size += segment
      if (segment === 255) continue
      packets.push(page.subarray(at, at + size))
      at += size
      size = 0
      count++
    }
    packetsOnPages.push(count)
    offset += length
  }
  const [head, tags, ...audio] = packets
  assert.ok(head !== undefined && tags !== undefined)
  assert.deepEqual(packetsOnPages.slice(0, 2), [1, 1], "each header has a page of its own")
  assert.equal(Buffer.from(head.subarray(0, 10)).toString("latin1"), "OpusHead\u0001\u0001")
  assert.equal(Buffer.from(tags.subarray(0, 8)).toString("latin1"), "OpusTags")
  const headView = new DataView(head.buffer, head.byteOffset, head.byteLength)
  return {
    preSkip: headView.getUint16(10, true),
    sampleRate: headView.getUint32(12, true),
    granule,
    ended,
    packets: audio,
    packetsOnPages: packetsOnPages.slice(2)
  }
}

const crcBitByBit = (bytes: Uint8Array): number => {
  let crc = 0
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      const carry = (crc >>> 31) ^ ((byte >> bit) & 1)
      crc = carry === 1 ? (crc << 1) ^ 0x04c11db7 : crc << 1
    }
  }
  return crc >>> 0
}
