/**
 * Bytes as they come from the network, in pieces of any length, to whole s16le mono samples.
 *
 * Sixteen-bit mono passes as views of what came in; other layouts are copied once. Part of a sample waits for its rest.
 */
export interface SampleLayout {
  /** Hz. */
  readonly sampleRate: number
  readonly channels: number
  readonly coding: "s16" | "s24" | "s32" | "f32"
  /** Length of the audio; infinite when only its end tells. */
  readonly bytes: number
}

export interface Samples {
  readonly push: (bytes: Uint8Array) => Uint8Array
  /** What is wrong with audio that ends here; undefined when nothing is. */
  readonly complaint: () => string | undefined
}

const none = new Uint8Array(0)

export const samples = (layout: SampleLayout): Samples => {
  const frame = layout.channels * widths[layout.coding]
  const passes = layout.channels === 1 && layout.coding === "s16"
  let left = layout.bytes - (Number.isFinite(layout.bytes) ? layout.bytes % frame : 0)
  let part: Uint8Array = none
  let made = 0
  /** The first bytes behind audio of a known length: a pad byte, chunks that carry no sound, or another file. */
  let behind: Uint8Array = none
  return {
    push: (bytes) => {
      const joined = part.length === 0 ? bytes : Buffer.concat([part, bytes])
      const whole = Math.min(joined.length, left)
      const used = whole - whole % frame
      if (joined.length > left && behind.length < 8) {
        behind = Buffer.concat([behind, joined.subarray(whole)]).subarray(0, 8)
      }
      part = joined.subarray(used, whole)
      left -= used
      made += used
      const audio = joined.subarray(0, used)
      return passes || used === 0 ? audio : toMono16(audio, layout)
    },
    complaint: () => {
      if (made === 0) return "The relay ended without audio."
      if (part.length > 0) return "The relay cut a sample in half."
      if (Number.isFinite(left) && left > 0) return "The relay ended before its audio."
      return Buffer.from(behind).includes("RIFF") ? "The relay sent one file behind the other." : undefined
    }
  }
}

/** Bytes a sample. */
const widths = { s16: 2, s24: 3, s32: 4, f32: 4 }

/** In units of s16. */
const readers: Record<SampleLayout["coding"], (view: DataView, at: number) => number> = {
  s16: (view, at) => view.getInt16(at, true),
  s24: (view, at) => (view.getInt8(at + 2) * 0x10000 + view.getUint16(at, true)) / 0x100,
  s32: (view, at) => view.getInt32(at, true) / 0x10000,
  f32: (view, at) => view.getFloat32(at, true) * 0x8000
}

/** Channels are averaged; what does not fit is clipped. */
const toMono16 = (bytes: Uint8Array, { channels, coding }: SampleLayout): Uint8Array => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const read = readers[coding]
  const width = widths[coding]
  const mono = new Int16Array(bytes.length / width / channels)
  for (let i = 0, at = 0; i < mono.length; i++) {
    let sum = 0
    for (let channel = 0; channel < channels; channel++, at += width) sum += read(view, at)
    mono[i] = Math.max(-0x8000, Math.min(0x7fff, Math.round(sum / channels)))
  }
  return new Uint8Array(mono.buffer)
}
