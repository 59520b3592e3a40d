/**
 * libopus as this service uses it: mono speech in packets of 20 ms.
 *
 * The WebAssembly build of `@evan/opus`: the native one writes every packet into one buffer that all threads of the process
 * share.
 */
import { createRequire } from "node:module"
import type { SampleRate } from "../../domain/AudioFormat.ts"

export interface OpusEncoder {
  readonly encode: (frame: Int16Array) => Uint8Array
  readonly ctl: (request: number, value?: number) => number
  /** Frees the encoder; it cannot be used after. */
  readonly drop: () => void
}

const { Encoder } = createRequire(import.meta.url)("@evan/opus/wasm/index.js") as {
  readonly Encoder: new(options: {
    readonly channels: 1
    readonly sample_rate: number
    readonly application: Purpose["application"]
  }) => OpusEncoder
}

/** Requests of `opus_encoder_ctl`, from opus_defines.h. */
const setBitrate = 4002
const setComplexity = 4010
const setSignal = 4024
const signalVoice = 3001
const getLookahead = 4027

/** What a packet is coded for. bit/s by Hz of the speech. */
interface Purpose {
  readonly application: "audio" | "restricted_lowdelay"
  readonly complexity: number
  readonly bitrates: Partial<Record<SampleRate, number>>
}

const purposes = {
  /** Half of libopus's range: twice as fast as 10, and no listener tells them apart at these bit rates. */
  file: {
    application: "audio",
    complexity: 5,
    bitrates: { 8000: 24_000, 16000: 32_000, 24000: 48_000, 48000: 64_000 }
  },
  /** CELT alone: a quarter of the work and 4 ms less delay, for somewhat more bits (docs/decisions/0009). */
  live: {
    application: "restricted_lowdelay",
    complexity: 2,
    bitrates: { 8000: 32_000, 16000: 40_000, 24000: 48_000, 48000: 64_000 }
  }
} as const satisfies Record<string, Purpose>

export const packetsPerSecond = 50

/** `lookahead`: samples that the codec's output lags behind its input. */
export const openOpus = (
  sampleRate: SampleRate,
  purpose: keyof typeof purposes
): { readonly encoder: OpusEncoder; readonly lookahead: number } => {
  const { application, bitrates, complexity }: Purpose = purposes[purpose]
  const bitrate = bitrates[sampleRate]
  if (bitrate === undefined) throw new RangeError(`Opus does not code ${sampleRate} Hz`)
  const encoder = new Encoder({ channels: 1, sample_rate: sampleRate, application })
  encoder.ctl(setBitrate, bitrate)
  encoder.ctl(setComplexity, complexity)
  encoder.ctl(setSignal, signalVoice)
  return { encoder, lookahead: encoder.ctl(getLookahead) }
}
