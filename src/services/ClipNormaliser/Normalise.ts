/**
 * The arithmetic: channels averaged, the rate changed in double precision, and one rounding to 16 bits at the end.
 *
 * Up to that rounding a signal keeps more than 100 dB SNR and aliases stay 100 dB down ({@link makeResampler}). The
 * rounding adds noise at −98 dBFS, a full-scale sine being 0 (its power is 1/12 of a step's square), far below the noise
 * of any room. It is plain rounding: TPDF dither would triple that power to decorrelate an error that the recording's own
 * noise decorrelates already, and would need a seed for the same clip to give the same bytes.
 */
import { Result } from "effect"
import type { Sound } from "../AudioDecoder/Take.ts"
import { canResample, makeResampler } from "../Resampler.ts"
import { bytesOf, clipRate, type Coding, isNormal, readWav, samplesOf, type WavFile } from "./WavFile.ts"

/** A minute of eight channels at 24 bits and 48 kHz; two of stereo at 24 bits and 96 kHz fit. */
export const recordingBytesMax = 64 * 2 ** 20

/** Frames decoded at once, so that a recording is never in memory as floats at its own rate. */
const blockFrames = 16_384

/** What the thread answers. `unusable` continues "The clip …". */
export type NormaliseMade = { readonly pcm: Uint8Array<ArrayBuffer> } | { readonly unusable: string }

/** A WAV file to s16le mono at 16 kHz. */
export const normalise = (file: Uint8Array): Result.Result<Uint8Array<ArrayBuffer>, string> =>
  Result.flatMap(
    readWav(file),
    (wav) => isNormal(wav) ? Result.succeed(samplesOf(wav)) : Result.map(signalOf(wav), pcmOf)
  )

/** A decoded clip, mono at any rate, to s16le at 16 kHz. */
export const normaliseSound = ({ sampleRate, samples }: Sound): Result.Result<Uint8Array<ArrayBuffer>, string> => {
  if (sampleRate !== clipRate && !canResample(sampleRate, clipRate)) {
    return Result.fail(`has a sample rate of ${sampleRate} Hz; common rates can be read`)
  }
  return Result.succeed(pcmOf(
    atClipRate(sampleRate, samples.length, (from, into) => {
      into.set(samples.subarray(from, from + into.length))
      return true
    })!
  ))
}

/** Mono at 16 kHz, full scale 1; may go beyond it. All channels count alike, whatever loudspeaker they are meant for. */
export const signalOf = (wav: WavFile): Result.Result<Float64Array, string> => {
  const signal = atClipRate(wav.sampleRate, wav.frames, (from, into) => {
    mixDown(wav, from, into)
    // Every mean of finite samples is finite.
    return into.every(Number.isFinite)
  })
  return signal === undefined ? Result.fail("has samples that are not numbers") : Result.succeed(signal)
}

/** `read` fills a block with the frames that begin at `from`; a block that it refuses ends everything. */
const atClipRate = (
  sampleRate: number,
  frames: number,
  read: (from: number, into: Float64Array) => boolean
): Float64Array | undefined => {
  const resampler = sampleRate === clipRate ? undefined : makeResampler(sampleRate, clipRate)
  const signal = new Float64Array(Math.round((frames * clipRate) / sampleRate))
  let made = 0
  const keep = (samples: Float64Array) => {
    signal.set(samples, made)
    made += samples.length
  }
  const block = new Float64Array(blockFrames)
  for (let from = 0; from < frames; from += blockFrames) {
    const part = block.subarray(0, Math.min(blockFrames, frames - from))
    if (!read(from, part)) return undefined
    keep(resampler?.push(part) ?? part)
  }
  if (resampler !== undefined) keep(resampler.end())
  return signal
}

const mixDown = ({ channels, coding, data }: WavFile, from: number, into: Float64Array): void => {
  const read = readers[coding]
  const step = bytesOf[coding]
  let at = from * channels * step
  for (let n = 0; n < into.length; n++) {
    let sum = 0
    for (let channel = 0; channel < channels; channel++, at += step) sum += read(data, at)
    into[n] = sum / channels
  }
}

/** Eight bits are unsigned, all others signed. */
export const readers: Record<Coding, (data: DataView, at: number) => number> = {
  u8: (data, at) => (data.getUint8(at) - 128) / 2 ** 7,
  s16: (data, at) => data.getInt16(at, true) / 2 ** 15,
  s24: (data, at) => (data.getInt16(at + 1, true) * 2 ** 8 + data.getUint8(at)) / 2 ** 23,
  s32: (data, at) => data.getInt32(at, true) / 2 ** 31,
  f32: (data, at) => data.getFloat32(at, true)
}

/**
 * To 16 bits. A signal beyond full scale, as floats may be and as a filter makes of clipped peaks, is turned down as a
 * whole until it fits: how loud a reference is matters to nobody, a clipped one is heard.
 */
export const pcmOf = (signal: Float64Array): Uint8Array<ArrayBuffer> => {
  let excess = 1
  for (const value of signal) excess = Math.max(excess, value > 0 ? value / positivePeak : -value)
  const gain = 2 ** 15 / excess
  const samples = new Uint8Array(signal.length * 2)
  const view = new DataView(samples.buffer)
  for (let n = 0; n < signal.length; n++) view.setInt16(n * 2, Math.round(signal[n]! * gain), true)
  return samples
}

/** Two's complement reaches further down than up. */
const positivePeak = (2 ** 15 - 1) / 2 ** 15
