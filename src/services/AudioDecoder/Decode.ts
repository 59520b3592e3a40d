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

/** Fails with {@link Undecodable}, or with whatever a decoder came to grief over. `ffmpeg`: name or path of the program. */
export const decode = async (file: Uint8Array, ffmpeg: string): Promise<Decoded> => {
  const sniffed = sniff(file)
  if (Result.isFailure(sniffed)) throw new Undecodable(sniffed.failure)
  const { container, start } = sniffed.success
  return { container, sound: await decoders[container](file.subarray(start), ffmpeg) }
}

type Decoder = (file: Uint8Array, ffmpeg: string) => Sound | Promise<Sound>

const decoders: Record<Container, Decoder> = {
  wav: decodeWav,
  mp3: decodeMp3,
  flac: decodeFlac,
  "ogg-opus": decodeOggOpus,
  "ogg-vorbis": decodeVorbis,
  webm: decodeWebm,
  mp4: async (file, ffmpeg) => decodeAdts(await adtsOfMp4(file), ffmpeg),
  adts: decodeAdts
}
