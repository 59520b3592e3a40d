/**
 * Reads WAV: RIFF with `WAVE_FORMAT_PCM`, `WAVE_FORMAT_IEEE_FLOAT` or `WAVE_FORMAT_EXTENSIBLE` of those two (Microsoft,
 * Multimedia Programming Interface 1.0, and "Multiple channel audio data and WAVE files").
 *
 * Nothing that the header says is believed beyond the bytes that are there. A data chunk may claim more than that: who
 * writes into a pipe does not know the length. Bytes of a last frame that is not whole are left out.
 */
import { Result } from "effect"
import { canResample } from "../Resampler.ts"

/** Of what comes out, Hz: what the engines' speaker encoders take. */
export const clipRate = 16_000
/** Longer recordings add nothing that an engine hears, and fill its memory. */
export const clipSecondsMax = 120

const channelsMax = 8
const rateMin = 8000
const rateMax = 192_000
/** Real files have fewer than ten. */
const chunksMax = 256

export type Coding = "u8" | "s16" | "s24" | "s32" | "f32"

export interface WavFile {
  readonly coding: Coding
  readonly channels: number
  /** Hz. */
  readonly sampleRate: number
  /** One sample of each channel, interleaved. */
  readonly frames: number
  /** `frames` whole frames. */
  readonly data: DataView
}

export const bytesOf: Record<Coding, number> = { u8: 1, s16: 2, s24: 3, s32: 4, f32: 4 }

/** Refuses in words that continue "The clip …"; what is too long as well, unless the caller will `cut` it. */
export const readWav = (file: Uint8Array, { cut }: { readonly cut: boolean } = { cut: false }): Result.Result<
  WavFile,
  string
> => {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (file.length < 12 || tag(view, 0) !== "RIFF" || tag(view, 8) !== "WAVE") return Result.fail("is not a WAV file")
  let format: Format | undefined
  let at = 12
  for (let chunk = 0; at + 8 <= file.length; chunk++) {
    if (chunk === chunksMax) return Result.fail(`has more than ${chunksMax} chunks`)
    const start = at + 8
    const size = Math.min(view.getUint32(at + 4, true), file.length - start)
    const body = new DataView(file.buffer, file.byteOffset + start, size)
    if (tag(view, at) === "fmt ") {
      const read = readFormat(body)
      if (Result.isFailure(read)) return Result.fail(read.failure)
      format = read.success
    }
    if (tag(view, at) === "data") {
      return format === undefined ? Result.fail("has its samples before their format") : withData(format, body, cut)
    }
    // Chunks begin at even places.
    at = start + size + (size % 2)
  }
  return Result.fail("has no samples")
}

/** Whether the samples are what comes out as they stand. */
export const isNormal = ({ channels, coding, sampleRate }: WavFile): boolean =>
  coding === "s16" && channels === 1 && sampleRate === clipRate

/** The bytes of the samples, in a buffer of their own. */
export const samplesOf = ({ data }: WavFile): Uint8Array<ArrayBuffer> =>
  new Uint8Array(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))

type Format = Pick<WavFile, "coding" | "channels" | "sampleRate">

const tags = { pcm: 0x0001, float: 0x0003, extensible: 0xfffe }
/** Of a sub-format, after its two-byte tag: KSDATAFORMAT_SUBTYPE_*. */
const subFormatTail = "000000001000800000aa00389b71"

const readFormat = (fmt: DataView): Result.Result<Format, string> => {
  if (fmt.byteLength < 16) return Result.fail("has a format chunk that is cut short")
  const channels = fmt.getUint16(2, true)
  const sampleRate = fmt.getUint32(4, true)
  const frameBytes = fmt.getUint16(12, true)
  const bits = fmt.getUint16(14, true)
  const kind = kindOf(fmt)
  if (kind === undefined) return Result.fail("is compressed; only PCM and 32-bit float can be read")
  const coding = codingOf(kind, bits)
  if (coding === undefined) return Result.fail(`has ${kind} samples of ${bits} bits`)
  if (channels < 1 || channels > channelsMax) {
    return Result.fail(`has ${channels} channels; 1 to ${channelsMax} can be read`)
  }
  if (frameBytes !== channels * bytesOf[coding]) {
    return Result.fail(`says that ${channels} samples of ${bits} bits take ${frameBytes} bytes`)
  }
  if (sampleRate < rateMin || sampleRate > rateMax || !canResample(sampleRate, clipRate)) {
    return Result.fail(`has a sample rate of ${sampleRate} Hz; common rates from ${rateMin} to ${rateMax} can be read`)
  }
  return Result.succeed({ coding, channels, sampleRate })
}

const kindOf = (fmt: DataView): "pcm" | "float" | undefined => {
  const named = fmt.getUint16(0, true)
  const extensible = named === tags.extensible
  if (extensible && (fmt.byteLength < 40 || hex(fmt, 26, 14) !== subFormatTail)) return undefined
  const actual = extensible ? fmt.getUint16(24, true) : named
  return actual === tags.pcm ? "pcm" : actual === tags.float ? "float" : undefined
}

const codingOf = (kind: "pcm" | "float", bits: number): Coding | undefined =>
  kind === "float" ? (bits === 32 ? "f32" : undefined) : pcmCodings[bits]

const pcmCodings: Record<number, Coding> = { 8: "u8", 16: "s16", 24: "s24", 32: "s32" }

const withData = (format: Format, body: DataView, cut: boolean): Result.Result<WavFile, string> => {
  const frameBytes = format.channels * bytesOf[format.coding]
  const frames = Math.floor(body.byteLength / frameBytes)
  if (frames === 0) return Result.fail("has no samples")
  if (frames > clipSecondsMax * format.sampleRate && !cut) return Result.fail(`is longer than ${clipSecondsMax} s`)
  return Result.succeed({
    ...format,
    frames,
    data: new DataView(body.buffer, body.byteOffset, frames * frameBytes)
  })
}

const tag = (view: DataView, at: number): string => Buffer.from(view.buffer, view.byteOffset + at, 4).toString("latin1")

const hex = (view: DataView, at: number, length: number): string =>
  Buffer.from(view.buffer, view.byteOffset + at, length).toString("hex")
