/** Puts true lengths into files whose headers were made before the length was known. */
import { Stream } from "effect"
import type { AudioFormat } from "../../domain/AudioFormat.ts"
import { bytesPerSample } from "../../domain/AudioFormat.ts"
import { flacWithLength, writeSamples } from "./FlacLength.ts"
import { wavHeader, wavHeaderBytes } from "./Wav.ts"

/**
 * The same file with its length in the header where the format keeps one there: WAV's sizes, FLAC's sample count.
 *
 * `bytes` is the whole output of one encoding. It is changed in place and returned.
 */
export const completed = (format: AudioFormat, bytes: Uint8Array): Uint8Array => {
  if (format === "wav") {
    const sampleRate = new DataView(bytes.buffer, bytes.byteOffset).getUint32(24, true)
    bytes.set(wavHeader(sampleRate, bytes.length - wavHeaderBytes))
  }
  if (format === "flac") flacWithLength(bytes)
  return bytes
}

/**
 * The same for a file on its way, of which is known that it will hold `samples`, at its own rate. Its header leaves the
 * encoder in one piece; that piece is changed in place.
 */
export const ofLength = (format: AudioFormat, samples: number) =>
<E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>
): Stream.Stream<Uint8Array, E, R> =>
  format !== "wav" && format !== "flac" ? bytes : Stream.mapAccum(bytes, () => true, (isFirst, piece) => {
    if (isFirst && format === "flac") writeSamples(piece, samples)
    if (isFirst && format === "wav") {
      const sampleRate = new DataView(piece.buffer, piece.byteOffset).getUint32(24, true)
      piece.set(wavHeader(sampleRate, samples * bytesPerSample))
    }
    return [false, [piece]] as const
  })
