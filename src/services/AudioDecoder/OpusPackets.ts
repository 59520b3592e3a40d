/** Opus packets of a live stream (RFC 6716) to sound: mono, 48 kHz, s16. */
import { createRequire } from "node:module"

interface OpusDecoder {
  /** s16le. A view into the decoder's memory. */
  readonly decode: (packet: Uint8Array) => Uint8Array
  readonly drop: () => void
}

// The WebAssembly build: a packet made to break it breaks a sandbox.
const { Decoder } = createRequire(import.meta.url)("@evan/opus/wasm/index.js") as {
  readonly Decoder: new(options: { readonly channels: 1; readonly sample_rate: 48_000 }) => OpusDecoder
}

/** 48 frames of 2.5 ms, each of 1275 bytes at most, and what tells their lengths (RFC 6716 §3.2.5). */
const packetBytesMax = 61_298

export interface PacketDecoder {
  /** Up to 120 ms; the samples are the caller's. Throws on what is no packet. */
  readonly decode: (packet: Uint8Array) => Int16Array<ArrayBuffer>
  readonly drop: () => void
}

export const makePacketDecoder = (): PacketDecoder => {
  const decoder = new Decoder({ channels: 1, sample_rate: 48_000 })
  return {
    decode: (packet) => {
      if (packet.length === 0 || packet.length > packetBytesMax) throw new RangeError("no Opus packet")
      return new Int16Array(Uint8Array.from(decoder.decode(packet)).buffer)
    },
    drop: () => decoder.drop()
  }
}
