/** Writes WAV files of every coding that can be read, and ones that lie. */
import { bytesOf, type Coding } from "../../../src/services/ClipNormaliser/WavFile.ts"

export interface Written {
  readonly coding: Coding
  readonly sampleRate: number
  /** One signal a channel, full scale 1. */
  readonly channels: ReadonlyArray<ArrayLike<number>>
  readonly extensible?: boolean
  /** Chunks before the data: name of four letters, and content. */
  readonly extra?: ReadonlyArray<readonly [string, Uint8Array]>
}

const clamp = (value: number, bits: number) =>
  Math.max(-(2 ** (bits - 1)), Math.min(2 ** (bits - 1) - 1, Math.round(value * 2 ** (bits - 1))))

const write: Record<Coding, (into: Buffer, value: number, at: number) => void> = {
  u8: (into, value, at) => into.writeUInt8(clamp(value, 8) + 128, at),
  s16: (into, value, at) => into.writeInt16LE(clamp(value, 16), at),
  s24: (into, value, at) => into.writeIntLE(clamp(value, 24), at, 3),
  s32: (into, value, at) => into.writeInt32LE(clamp(value, 32), at),
  f32: (into, value, at) => into.writeFloatLE(value, at)
}

export const chunk = (name: string, body: Uint8Array, size = body.length): Buffer => {
  const header = Buffer.alloc(8)
  header.write(name, "latin1")
  header.writeUInt32LE(size, 4)
  return Buffer.concat([header, body, Buffer.alloc(body.length % 2)])
}

export const riff = (...chunks: ReadonlyArray<Uint8Array>): Buffer => {
  const body = Buffer.concat([Buffer.from("WAVE"), ...chunks])
  return chunk("RIFF", body)
}

/** As its fields say, true or not. */
export const format = (fields: {
  readonly tag: number
  readonly channels: number
  readonly sampleRate: number
  readonly frameBytes: number
  readonly bits: number
  readonly subFormat?: string
}): Buffer => {
  const fmt = Buffer.alloc(fields.subFormat === undefined ? 16 : 40)
  fmt.writeUInt16LE(fields.tag, 0)
  fmt.writeUInt16LE(fields.channels, 2)
  fmt.writeUInt32LE(fields.sampleRate, 4)
  fmt.writeUInt32LE(fields.sampleRate * fields.frameBytes % 2 ** 32, 8)
  fmt.writeUInt16LE(fields.frameBytes, 12)
  fmt.writeUInt16LE(fields.bits, 14)
  if (fields.subFormat !== undefined) {
    fmt.writeUInt16LE(22, 16)
    fmt.writeUInt16LE(fields.bits, 18)
    fmt.write(fields.subFormat, 24, "hex")
  }
  return fmt
}

export const subFormat = (tag: number) => `0${tag}00000000001000800000aa00389b71`

export const wavOf = ({ channels, coding, extensible = false, extra = [], sampleRate }: Written): Buffer => {
  const bytes = bytesOf[coding]
  const frames = channels[0]!.length
  const data = Buffer.alloc(frames * channels.length * bytes)
  for (let n = 0, at = 0; n < frames; n++) {
    for (const signal of channels) {
      write[coding](data, signal[n]!, at)
      at += bytes
    }
  }
  const tag = coding === "f32" ? 3 : 1
  const fmt = format({
    tag: extensible ? 0xfffe : tag,
    channels: channels.length,
    sampleRate,
    frameBytes: channels.length * bytes,
    bits: bytes * 8,
    ...(extensible ? { subFormat: subFormat(tag) } : {})
  })
  return riff(chunk("fmt ", fmt), ...extra.map(([name, body]) => chunk(name, body)), chunk("data", data))
}
