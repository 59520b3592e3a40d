/** A file to sound, by what it is. */
import { Result } from "effect"
import { adtsOfMp4, decodeWebm } from "./Demux.ts"
import { decodeAdts } from "./Ffmpeg.ts"
import { decodeMp3 } from "./Mp3.ts"
import { decodeOggOpus } from "./Opus.ts"
import { type Container, sniff } from "./Sniff.ts"
import { type Sound, Undecodable } from "./Take.ts"
import { decodeWav } from "./Wav.ts"
import { decodeFlac, decodeVorbis } from "./Xiph.ts"

export interface Decoded {
  readonly container: Container
  readonly sound: Sound
}

/** Fails with {@link Undecodable}, or with whatever a decoder came to grief over. `ffmpeg`: path of the program. */
export const decode = async (file: Uint8Array, ffmpeg: string | undefined): Promise<Decoded> => {
  const sniffed = sniff(file)
  if (Result.isFailure(sniffed)) throw new Undecodable(sniffed.failure)
  const { container, start } = sniffed.success
  return { container, sound: await decoders[container](file.subarray(start), ffmpeg) }
}

type Decoder = (file: Uint8Array, ffmpeg: string | undefined) => Sound | Promise<Sound>

const decoders: Record<Container, Decoder> = {
  wav: decodeWav,
  mp3: decodeMp3,
  flac: decodeFlac,
  "ogg-opus": decodeOggOpus,
  "ogg-vorbis": decodeVorbis,
  webm: decodeWebm,
  mp4: async (file, ffmpeg) => {
    const program = needed("MP4 (M4A)", ffmpeg)
    return decodeAdts(await adtsOfMp4(file), program)
  },
  adts: (file, ffmpeg) => decodeAdts(file, needed("AAC", ffmpeg))
}

const needed = (name: string, ffmpeg: string | undefined): string => {
  if (ffmpeg === undefined) {
    throw new Undecodable(`is ${name}, which needs ffmpeg, and this server has none; send WAV, MP3, FLAC or Opus`)
  }
  return ffmpeg
}
