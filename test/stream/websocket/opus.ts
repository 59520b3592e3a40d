/** Raw Opus packets of a live session to samples, as a player would do it. */
import { createRequire } from "node:module"

const { Decoder } = createRequire(import.meta.url)("@evan/opus/wasm/index.js") as {
  readonly Decoder: new(options: { channels: 1; sample_rate: number }) => {
    readonly decode: (packet: Uint8Array) => Uint8Array
    readonly drop: () => void
  }
}

/** At 48 kHz. */
export const decodePackets = (packets: ReadonlyArray<Uint8Array>): Int16Array => {
  const decoder = new Decoder({ channels: 1, sample_rate: 48_000 })
  const pcm = Buffer.concat(packets.map((packet) => Buffer.from(decoder.decode(packet))))
  decoder.drop()
  return new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length / 2)
}
