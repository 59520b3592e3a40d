/**
 * Opus in Ogg (RFC 6716, RFC 7845), live: 20 ms packets, the first half second one a page so that it can be heard at
 * once, then five a page. Pre-skip and the last page's granule position make the decoded length that of the input.
 */
import type { MakeCodec } from "./Codec.ts"
import { writePage } from "./OggPage.ts"
import { openOpus, packetsPerSecond } from "./OpusEncoder.ts"

/** Granule positions and pre-skip count at this rate whatever the input's (RFC 7845 §4). Hz. */
const granuleRate = 48_000
const packetGranules = granuleRate / packetsPerSecond
const singlePackets = 25
const packetsPerPage = 5

export const makeOpus: MakeCodec = (sampleRate, sink, declared) => {
  const { encoder, lookahead } = openOpus(sampleRate, "file")
  const granulesPerSample = granuleRate / sampleRate
  const preSkip = lookahead * granulesPerSample

  const frame = new Int16Array(sampleRate / packetsPerSecond)
  let filled = 0
  let received = 0
  let encoded = 0
  let sequence = 0
  let packets: Array<Uint8Array> = []

  const page = (granule: number, last: boolean) => {
    writePage({ sequence: sequence++, packets, granule, last }, sink)
    packets = []
  }

  packets.push(head(declared, preSkip))
  page(0, false)
  packets.push(tags())
  page(0, false)

  const encodeFrame = () => {
    packets.push(encoder.encode(frame))
    encoded++
    filled = 0
  }

  return {
    write: (samples) => {
      received += samples.length
      for (let offset = 0; offset < samples.length;) {
        const part = samples.subarray(offset, offset + frame.length - filled)
        frame.set(part, filled)
        filled += part.length
        offset += part.length
        if (filled === frame.length) {
          encodeFrame()
          if (encoded <= singlePackets || packets.length === packetsPerPage) page(encoded * packetGranules, false)
        }
      }
    },
    end: () => {
      const granule = preSkip + received * granulesPerSample
      // The codec's delay pushes the last samples into further packets; there is always at least one to come.
      while (encoded * packetGranules < granule) {
        frame.fill(0, filled)
        encodeFrame()
      }
      page(granule, true)
    },
    free: () => encoder.drop()
  }
}

/** Identification header, mapping family 0 (RFC 7845 §5.1). */
const head = (sampleRate: number, preSkip: number): Uint8Array => {
  const packet = new Uint8Array(19)
  const view = new DataView(packet.buffer)
  packet.set(Buffer.from("OpusHead", "latin1"))
  packet[8] = 1
  packet[9] = 1
  view.setUint16(10, preSkip, true)
  view.setUint32(12, sampleRate, true)
  return packet
}

/** Comment header: a vendor and no comments (RFC 7845 §5.2). */
const tags = (): Uint8Array => {
  const vendor = Buffer.from("ScaiSpeak, libopus", "latin1")
  const packet = new Uint8Array(8 + 4 + vendor.length + 4)
  packet.set(Buffer.from("OpusTags", "latin1"))
  new DataView(packet.buffer).setUint32(8, vendor.length, true)
  packet.set(vendor, 12)
  return packet
}
