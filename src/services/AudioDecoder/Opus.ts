/**
 * Opus to sound at 48 kHz (RFC 6716, RFC 7845), from Ogg or from the packets of another container: the codec's delay and
 * the padding behind the end taken off, the header's gain applied. One and two channels; more are for loudspeakers.
 */
import { createRequire } from "node:module"
import { oggPackets } from "./OggPackets.ts"
import { type Sound, Take, Undecodable } from "./Take.ts"

interface OpusDecoder {
  /** s16le, interleaved. */
  readonly decode: (packet: Uint8Array) => Uint8Array
  readonly drop: () => void
}

// The WebAssembly build: a packet made to break it breaks a sandbox.
const { Decoder } = createRequire(import.meta.url)("@evan/opus/wasm/index.js") as {
  readonly Decoder: new(options: { readonly channels: 1 | 2; readonly sample_rate: number }) => OpusDecoder
}

const rate = 48_000

export interface OpusPacket {
  readonly bytes: Uint8Array
  /** Samples from the beginning of the stream to the packet's end, delay included; absent or negative when not known. */
  readonly granule?: number
}

export const decodeOggOpus = (file: Uint8Array): Sound => {
  const packets = oggPackets(file)
  const head = packets.next().value
  // The comment header.
  packets.next()
  if (head === undefined) throw new Undecodable("is Ogg with Opus without a whole page")
  const decoding = new OpusDecoding(head.bytes)
  for (const packet of packets) if (!decoding.push(packet)) break
  return decoding.end()
}

export class OpusDecoding {
  readonly #take: Take
  readonly #decoder: OpusDecoder
  readonly #gain: number
  /** Samples at the beginning that are the codec's delay. */
  readonly #delay: number
  #skip: number
  #granule = -1

  /** `head`: the identification header (RFC 7845 §5.1). */
  constructor(head: Uint8Array) {
    const view = new DataView(head.buffer, head.byteOffset, head.byteLength)
    if (head.length < 19) throw new Undecodable("is Opus with a header that is cut short")
    const channels = head[9]!
    if (channels !== 1 && channels !== 2) {
      throw new Undecodable(`is Opus with ${channels} channels; one or two can be read`)
    }
    this.#delay = this.#skip = view.getUint16(10, true)
    // Q7.8 dB.
    this.#gain = 10 ** (view.getInt16(16, true) / 256 / 20) / 2 ** 15
    this.#take = new Take(rate, channels)
    this.#decoder = new Decoder({ channels, sample_rate: rate })
  }

  /** Whether more is wanted. */
  push({ bytes, granule = -1 }: OpusPacket): boolean {
    if (bytes.length === 0) return true
    const decoded = this.#decoder.decode(bytes)
    const pcm = new Int16Array(decoded.buffer, decoded.byteOffset, decoded.byteLength >> 1)
    const { channels } = this.#take
    const frames = pcm.length / channels
    const from = Math.min(this.#skip, frames)
    this.#skip -= from
    this.#take.push(
      Array.from(
        { length: channels },
        (_, channel) =>
          Float32Array.from({ length: frames - from }, (_, n) => pcm[(from + n) * channels + channel]! * this.#gain)
      )
    )
    this.#granule = granule
    return !this.#take.full
  }

  end(): Sound {
    this.#decoder.drop()
    return this.#take.end(this.#granule < 0 ? undefined : this.#granule - this.#delay)
  }
}
