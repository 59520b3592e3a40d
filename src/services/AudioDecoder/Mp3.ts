/** MP3 to sound by mpg123, gapless where the encoder left a note of its padding, a piece at a time. */
import { MPEGDecoder } from "mpg123-decoder"
import { mp3Channels } from "./MpegFrame.ts"
import { type Sound, Take, Undecodable } from "./Take.ts"

/** At the lowest bit rate a minute or so: what is decoded beyond the bound. */
const pieceBytes = 16 * 1024

/** `file` begins with its first frame. */
export const decodeMp3 = async (file: Uint8Array): Promise<Sound> => {
  const decoder = new MPEGDecoder()
  await decoder.ready
  try {
    let take: Take | undefined
    for (let at = 0; at < file.length && take?.full !== true; at += pieceBytes) {
      const { channelData, sampleRate, samplesDecoded } = decoder.decode(file.subarray(at, at + pieceBytes))
      if (samplesDecoded === 0) continue
      take ??= new Take(sampleRate, mp3Channels(file, 0))
      if (sampleRate !== take.sampleRate) throw new Undecodable("is MP3 that changes its sample rate")
      take.push(channelData.slice(0, take.channels))
    }
    if (take === undefined) throw new Undecodable("is MP3 without a whole frame")
    return take.end()
  } finally {
    decoder.free()
  }
}
