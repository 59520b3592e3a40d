/** What the relay of the tests says, in the forms that relays say it in. */

/** 24 kHz, s16le: half a second that counts up, so that a lost or split sample shows. */
export const samples = Int16Array.from({ length: 12_000 }, (_, i) => i + 1)
export const pcm = Buffer.from(samples.buffer)

type Coding = "s16" | "s24" | "s32" | "f32"

const bits = { s16: 16, s24: 24, s32: 32, f32: 32 }

const write = (coding: Coding, value: number, into: Buffer, at: number) => {
  if (coding === "s16") into.writeInt16LE(value, at)
  if (coding === "s24") into.writeIntLE(value * 0x100, at, 3)
  if (coding === "s32") into.writeInt32LE(value * 0x10000, at)
  if (coding === "f32") into.writeFloatLE(value / 0x8000, at)
}

/** Channels of a frame average to the sample. `length` is what the header says of the data, in bytes; true by default. */
export const wav = (
  coding: Coding,
  { channels = 1, extensible = false, length, metadata = 0, rate = 24_000 }: {
    channels?: number
    extensible?: boolean
    length?: number
    metadata?: number
    rate?: number
  } = {}
): Buffer => {
  const width = bits[coding] / 8
  const data = Buffer.alloc(samples.length * channels * width)
  samples.forEach((sample, i) => {
    for (let channel = 0; channel < channels; channel++) {
      const apart = channels === 1 ? 0 : channel === 0 ? 100 : -100
      write(coding, sample + apart, data, (i * channels + channel) * width)
    }
  })
  const tag = coding === "f32" ? 3 : 1
  const format = Buffer.alloc(extensible ? 40 : 16)
  format.writeUInt16LE(extensible ? 0xfffe : tag, 0)
  format.writeUInt16LE(channels, 2)
  format.writeUInt32LE(rate, 4)
  format.writeUInt32LE(rate * channels * width, 8)
  format.writeUInt16LE(channels * width, 12)
  format.writeUInt16LE(bits[coding], 14)
  if (extensible) format.writeUInt16LE(tag, 24)
  const said = length ?? data.length
  return Buffer.concat([
    chunk("RIFF", Buffer.from("WAVE"), 0xffffffff),
    chunk("fmt ", format),
    metadata === 0 ? Buffer.alloc(0) : chunk("LIST", Buffer.alloc(metadata)),
    chunk("data", data, said)
  ])
}

const chunk = (name: string, content: Buffer, length = content.length): Buffer => {
  const head = Buffer.alloc(8, name)
  head.writeUInt32LE(length, 4)
  return Buffer.concat([head, content, Buffer.alloc(content.length % 2)])
}
