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
    readonly application: "audio" | "voip"
  }) => OpusEncoder
}

/** Requests of `opus_encoder_ctl`, from opus_defines.h. */
const setBitrate = 4002
const setComplexity = 4010
const setSignal = 4024
const signalVoice = 3001
const getLookahead = 4027

/** Half of libopus's range: twice as fast as 10, and no listener tells them apart at these bit rates. */
const complexity = 5
const bitrateBps: Partial<Record<SampleRate, number>> = { 8000: 24_000, 16000: 32_000, 24000: 48_000, 48000: 64_000 }

export const packetsPerSecond = 50

/** `lookahead`: samples that the codec's output lags behind its input. */
export const openOpus = (sampleRate: SampleRate): { readonly encoder: OpusEncoder; readonly lookahead: number } => {
  const bitrate = bitrateBps[sampleRate]
  if (bitrate === undefined) throw new RangeError(`Opus does not code ${sampleRate} Hz`)
  const encoder = new Encoder({ channels: 1, sample_rate: sampleRate, application: "audio" })
  encoder.ctl(setBitrate, bitrate)
  encoder.ctl(setComplexity, complexity)
  encoder.ctl(setSignal, signalVoice)
  return { encoder, lookahead: encoder.ctl(getLookahead) }
}
