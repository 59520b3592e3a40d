/** FLAC and Ogg Vorbis to sound by libFLAC and libvorbis, a piece at a time. */
import { FLACDecoder } from "@wasm-audio-decoders/flac"
import { OggVorbisDecoder } from "@wasm-audio-decoders/ogg-vorbis"
import { type Sound, Take, Undecodable } from "./Take.ts"

const pieceBytes = 64 * 1024

interface Decoded {
  readonly channelData: ReadonlyArray<Float32Array>
  readonly samplesDecoded: number
  readonly sampleRate: number
}

interface Decoder {
  readonly ready: Promise<void>
  readonly decode: (bytes: Uint8Array) => Promise<Decoded>
  readonly flush: () => Promise<Decoded>
  readonly free: () => void
}

export const decodeFlac = (file: Uint8Array): Promise<Sound> => decodeAll("FLAC", new FLACDecoder(), file)
export const decodeVorbis = (file: Uint8Array): Promise<Sound> =>
  decodeAll("Ogg with Vorbis", new OggVorbisDecoder(), file)

const decodeAll = async (name: string, decoder: Decoder, file: Uint8Array): Promise<Sound> => {
  await decoder.ready
  try {
    let take: Take | undefined
    const keep = ({ channelData, sampleRate, samplesDecoded }: Decoded) => {
      if (samplesDecoded === 0) return
      take ??= new Take(sampleRate, channelData.length)
      if (sampleRate !== take.sampleRate || channelData.length !== take.channels) {
        throw new Undecodable(`is ${name} that changes its sample rate or channels`)
      }
      take.push(channelData)
    }
    for (let at = 0; at < file.length && take?.full !== true; at += pieceBytes) {
      keep(await decoder.decode(file.subarray(at, at + pieceBytes)))
    }
    if (take?.full !== true) keep(await decoder.flush())
    if (take === undefined) throw new Undecodable(`is ${name} without a whole frame`)
    return take.end()
  } finally {
    decoder.free()
  }
}
