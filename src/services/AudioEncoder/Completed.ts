/** Puts true lengths into a whole file that was encoded before its length was known. */
import type { AudioFormat } from "../../domain/AudioFormat.ts"
import { flacWithLength } from "./FlacLength.ts"
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
