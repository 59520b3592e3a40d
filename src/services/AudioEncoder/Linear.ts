/** Formats whose samples stand alone: raw PCM, WAV and G.711. Here for speech that was resampled. */
import type { MakeCodec } from "./Codec.ts"
import { compand } from "./G711.ts"
import { wavHeader } from "./Wav.ts"

const nothing = () => {}

const bytesOf = (samples: Int16Array): Uint8Array =>
  new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)

export const makePcm: MakeCodec = (_, sink) => ({
  write: (samples) => sink.write(bytesOf(samples)),
  end: nothing,
  free: nothing
})

export const makeWav: MakeCodec = (sampleRate, sink, declared) => {
  sink.write(wavHeader(sampleRate))
  return makePcm(sampleRate, sink, declared)
}

export const makeG711 = (law: "mulaw" | "alaw"): MakeCodec => (_, sink) => ({
  write: (samples) => compand(law, bytesOf(samples), sink.reserve(samples.length)),
  end: nothing,
  free: nothing
})
