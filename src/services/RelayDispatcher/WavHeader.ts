/** The header of a RIFF/WAVE stream, read as its bytes come in. What it says of lengths is believed only where it can be. */
import type { SampleLayout } from "./Samples.ts"

export interface FoundAudio {
  readonly layout: SampleLayout
  /** Where the audio begins, in bytes. */
  readonly offset: number
}

export type Found = FoundAudio | "more" | { readonly wrong: string }

/** Longest header that is read, metadata included. */
const headerBytesMax = 16_384

/** Writers that do not know the length yet put 0, 0xFFFFFFFF (ffmpeg), 0x7FFFFFFF or near it (sox) in its place. */
const endlessBytesMin = 0x7fff0000

/** Format tags of the WAVE format chunk (RFC 2361; `WAVE_FORMAT_EXTENSIBLE` names the real one in its sub-format). */
const integer = 1
const float = 3
const extensible = 0xfffe

/** `bytes` are the first of the stream and begin with `RIFF`; `"more"` asks for further ones. */
export const wavHeader = (bytes: Uint8Array): Found => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const name = (at: number) => Buffer.from(bytes.subarray(at, at + 4)).toString("latin1")
  if (bytes.length >= 12 && name(8) !== "WAVE") return { wrong: "The relay answered a RIFF file that is no WAV." }
  let format: Omit<SampleLayout, "bytes"> | undefined
  for (let at = 12; at + 8 <= bytes.length;) {
    const length = view.getUint32(at + 4, true)
    const start = at + 8
    if (name(at) === "data") {
      if (format === undefined) return { wrong: "The relay answered a WAV of an unknown format." }
      const endless = length === 0 || length >= endlessBytesMin
      return { layout: { ...format, bytes: endless ? Infinity : length }, offset: start }
    }
    if (start + length > headerBytesMax) break
    if (start + length > bytes.length) return "more"
    if (name(at) === "fmt ") {
      format = formatOf(view, start, length)
      if (format === undefined) return { wrong: "The relay answered a WAV of a coding that is not PCM." }
    }
    at = start + length + length % 2
  }
  return bytes.length > headerBytesMax ? { wrong: "The relay answered a WAV without audio." } : "more"
}

/** Of the format chunk's content; undefined when its samples cannot be read. */
const formatOf = (view: DataView, start: number, length: number): Omit<SampleLayout, "bytes"> | undefined => {
  if (length < 16) return undefined
  const named = view.getUint16(start, true)
  const tag = named === extensible && length >= 26 ? view.getUint16(start + 24, true) : named
  const bits = view.getUint16(start + 14, true)
  const coding = tag === integer
    ? ({ 16: "s16", 24: "s24", 32: "s32" } as const)[bits]
    : tag === float && bits === 32
    ? "f32"
    : undefined
  return coding && { sampleRate: view.getUint32(start + 4, true), channels: view.getUint16(start + 2, true), coding }
}
