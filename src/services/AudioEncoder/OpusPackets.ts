/**
 * Raw Opus packets of 20 ms for a live session, which has no end: each is written with its length in front (u16, little
 * endian), for {@link packetsOf} to take apart on the other side of a thread.
 *
 * `settle` brings out everything that went in: silence fills the packet and the codec's delay. The encoder goes on with
 * what comes next, so that a decoder hears one stream.
 */
import type { MakeCodec } from "./Codec.ts"
import { openOpus, packetsPerSecond } from "./OpusEncoder.ts"

const lengthBytes = 2

export const makeOpusPackets: MakeCodec = (sampleRate, sink) => {
  const { encoder, lookahead } = openOpus(sampleRate, "live")
  const frame = new Int16Array(sampleRate / packetsPerSecond)
  let filled = 0
  /** Samples that are in no packet yet, or not to be heard yet from the packets that they are in. */
  let owed = 0

  const encodeFrame = () => {
    const packet = encoder.encode(frame)
    const bytes = sink.reserve(lengthBytes + packet.length)
    bytes[0] = packet.length & 0xff
    bytes[1] = packet.length >> 8
    bytes.set(packet, lengthBytes)
    filled = 0
    owed -= frame.length
  }

  return {
    write: (samples) => {
      if (samples.length === 0) return
      if (owed <= 0) owed = lookahead
      owed += samples.length
      for (let offset = 0; offset < samples.length;) {
        const part = samples.subarray(offset, offset + frame.length - filled)
        frame.set(part, filled)
        filled += part.length
        offset += part.length
        if (filled === frame.length) encodeFrame()
      }
    },
    settle: () => {
      while (owed > 0) {
        frame.fill(0, filled)
        encodeFrame()
      }
    },
    end: () => {},
    free: () => encoder.drop()
  }
}

/** The packets in what was written, as views. */
export const packetsOf = (bytes: Uint8Array): Array<Uint8Array> => {
  const packets: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at]! | (bytes[at + 1]! << 8)
    packets.push(bytes.subarray(at + lengthBytes, at + lengthBytes + length))
    at += lengthBytes + length
  }
  return packets
}
