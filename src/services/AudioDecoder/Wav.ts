/** WAV to sound: what `WavFile` reads, in every coding that it knows. */
import { Result } from "effect"
import { readers } from "../ClipNormaliser/Normalise.ts"
import { bytesOf, readWav } from "../ClipNormaliser/WavFile.ts"
import { clipSecondsMax, type Sound, Take, Undecodable } from "./Take.ts"

/** Frames taken at once. */
const blockFrames = 16_384

export const decodeWav = (file: Uint8Array): Sound => {
  const read = readWav(file, { cut: true })
  if (Result.isFailure(read)) throw new Undecodable(`is WAV, but ${read.failure}`)
  const { channels, coding, data, frames, sampleRate } = read.success
  const take = new Take(sampleRate, channels)
  const sample = readers[coding]
  const step = bytesOf[coding]
  const block = Array.from({ length: channels }, () => new Float64Array(blockFrames))
  const last = Math.min(frames, clipSecondsMax * sampleRate + 1)
  for (let from = 0; from < last; from += blockFrames) {
    const count = Math.min(blockFrames, last - from)
    for (const [channel, signal] of block.entries()) {
      for (let n = 0; n < count; n++) signal[n] = sample(data, ((from + n) * channels + channel) * step)
    }
    take.push(block.map((signal) => signal.subarray(0, count)))
  }
  return take.end()
}
