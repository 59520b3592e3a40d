/** One encoding at work inside an encoder thread: PCM goes in, the file's bytes come out as they are settled. */
import { type AudioFormat, formats, type SampleRate } from "../../domain/AudioFormat.ts"
import { makeResampler } from "../Resampler.ts"
import { ByteSink } from "./ByteSink.ts"
import type { MakeCodec } from "./Codec.ts"
import { makeFlac } from "./Flac.ts"
import { makeG711, makePcm, makeWav } from "./Linear.ts"
import { makeMp3 } from "./Mp3.ts"
import { makeOpus } from "./Opus.ts"
import { makeOpusPackets } from "./OpusPackets.ts"

/** What an encoding makes: a file, or Opus packets for a live session. */
export type EncodingFormat = AudioFormat | "opus-packets"

const codecs: Record<EncodingFormat, MakeCodec> = {
  "opus-packets": makeOpusPackets,
  mp3: makeMp3,
  opus: makeOpus,
  wav: makeWav,
  flac: makeFlac,
  pcm: makePcm,
  mulaw: makeG711("mulaw"),
  alaw: makeG711("alaw")
}

export interface EncodingOptions {
  readonly format: EncodingFormat
  /** Hz of the PCM that comes in. */
  readonly sourceRate: number
  /** Hz of the audio that goes out; one that the format can carry. */
  readonly targetRate: SampleRate
  /** Nobody listens yet: it leaves room for encodings that somebody listens to. */
  readonly patient?: boolean
}

export interface Encoding {
  /** s16le PCM at the source's rate, two-byte aligned → bytes that are settled by now, perhaps none. */
  readonly push: (pcm: Uint8Array) => Uint8Array<ArrayBuffer>
  /** Everything up to the last sample that was pushed; more may be pushed after. */
  readonly settle: () => Uint8Array<ArrayBuffer>
  readonly end: () => Uint8Array<ArrayBuffer>
  readonly free: () => void
}

export const openEncoding = (options: EncodingOptions): Encoding => {
  const { format, sourceRate, targetRate } = options
  const sink = new ByteSink()
  const rate = codedRate(options)
  const open = () => sourceRate === rate ? undefined : makeResampler(sourceRate, rate)
  let resampler = open()
  const codec = codecs[format](rate, sink, targetRate)
  return {
    push: (pcm) => {
      // Little-endian, as every machine that Node runs on.
      const samples = new Int16Array(pcm.buffer, pcm.byteOffset, pcm.byteLength / 2)
      codec.write(resampler === undefined ? samples : rounded(resampler.push(samples)))
      return sink.take()
    },
    settle: () => {
      if (resampler !== undefined) codec.write(rounded(resampler.end()))
      resampler = open()
      codec.settle?.()
      return sink.take()
    },
    end: () => {
      if (resampler !== undefined) codec.write(rounded(resampler.end()))
      codec.end()
      return sink.take()
    },
    free: codec.free
  }
}

/**
 * Opus plays at 48 kHz whatever rate it was coded at, so speech at a rate that Opus has is never resampled upwards:
 * that would cost as much as the coding and add nothing to hear. Every other format is coded at the target rate.
 */
const codedRate = ({ format, sourceRate, targetRate }: EncodingOptions): SampleRate =>
  ((format === "opus" || format === "opus-packets") && sourceRate < targetRate &&
    formats.opus.sampleRates.find((rate) => rate === sourceRate)) ||
  targetRate

/** To 16 bits; a peak that the filter lifts over full scale is clipped, never wrapped. */
const rounded = (samples: Float64Array): Int16Array => {
  const pcm = new Int16Array(samples.length)
  for (let i = 0; i < samples.length; i++) {
    pcm[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i]!)))
  }
  return pcm
}
