/** What is inside WebM and MP4, by mediabunny: the packets of the main sound track, in order, never further than asked. */
import { BufferSource, EncodedPacketSink, Input, type InputFormat, MP4, QTFF, WEBM } from "mediabunny"
import { OpusDecoding } from "./Opus.ts"
import { clipSecondsMax, type Sound, Undecodable } from "./Take.ts"

export const decodeWebm = async (file: Uint8Array): Promise<Sound> => {
  const track = await mainTrack("WebM", file, [WEBM])
  if (track.codec !== "opus") throw new Undecodable(`is WebM with ${nameOf(track.codec)}; Opus can be read`)
  const decoding = new OpusDecoding(track.description)
  for await (const { data } of track.packets()) if (!decoding.push({ bytes: data })) break
  return decoding.end()
}

/** MP4 to ADTS: each frame of AAC behind a header of its own (ISO/IEC 13818-7 §6.2), so that it can be read from a pipe. */
export const adtsOfMp4 = async (file: Uint8Array): Promise<Uint8Array> => {
  const track = await mainTrack("MP4", file, [MP4, QTFF])
  if (track.codec !== "aac") throw new Undecodable(`is MP4 with ${nameOf(track.codec)}; AAC can be read`)
  const header = adtsHeader(track.description)
  const parts: Array<Uint8Array> = []
  for await (const { data, timestamp } of track.packets()) {
    if (timestamp > clipSecondsMax + 1) break
    parts.push(header(data.length), data)
  }
  return Buffer.concat(parts)
}

const nameOf = (codec: string | null) => codec === null ? "a codec that nobody knows" : codec.toUpperCase()

const mainTrack = async (name: string, file: Uint8Array, formats: Array<InputFormat>) => {
  const input = new Input({ source: new BufferSource(file), formats })
  try {
    const track = await input.getPrimaryAudioTrack()
    if (track === null) throw new Undecodable(`is ${name} without a sound track`)
    const config = await track.getDecoderConfig()
    const description = config?.description
    return {
      codec: track.codec,
      description: description === undefined
        ? new Uint8Array(0)
        : ArrayBuffer.isView(description)
        ? new Uint8Array(description.buffer, description.byteOffset, description.byteLength)
        : new Uint8Array(description),
      packets: () => new EncodedPacketSink(track).packets()
    }
  } catch (cause) {
    throw cause instanceof Undecodable ? cause : new Undecodable(`is broken ${name}`)
  }
}

/** `config`: an AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1) of the object types that ADTS knows. */
const adtsHeader = (config: Uint8Array) => {
  const [first = 0, second = 0] = config
  const objectType = first >> 3
  const rateIndex = ((first & 7) << 1) | (second >> 7)
  const channels = (second >> 3) & 15
  // AAC with spectral band replication (5, 29) says the rate of its core first: as plain AAC-LC (2) its frames are found.
  const profile = objectType === 5 || objectType === 29 ? 2 : objectType
  if (profile < 1 || profile > 4 || rateIndex > 12) throw new Undecodable("is MP4 with AAC of a rare kind")
  return (payload: number) => {
    const length = payload + 7
    if (length > 0x1fff) throw new Undecodable("is MP4 with AAC frames beyond all measure")
    return Uint8Array.of(
      0xff,
      0xf1,
      ((profile - 1) << 6) | (rateIndex << 2) | (channels >> 2),
      ((channels & 3) << 6) | (length >> 11),
      (length >> 3) & 0xff,
      ((length & 7) << 5) | 0x1f,
      0xfc
    )
  }
}
