/** Reads f32 at 16 kHz from its input, and writes the stretches of speech in it as JSON; its argument is the model. */
import { accessSync, readFileSync } from "node:fs"

interface Vad {
  readonly acceptWaveform: (samples: Float32Array) => void
  readonly flush: () => void
  readonly isEmpty: () => boolean
  readonly front: (external: boolean) => { readonly start: number; readonly samples: Float32Array }
  readonly pop: () => void
}

const sampleRate = 16_000
/** What the network takes at once. */
const windowSamples = 512
const bufferSeconds = 130

const model = process.argv[2]!
// Without a file the detector says nothing and finds nothing.
accessSync(model)
const given = readFileSync(0)
const samples = new Float32Array(
  given.buffer.slice(given.byteOffset, given.byteOffset + given.length - given.length % 4)
)
const { default: sherpa } = (await import("sherpa-onnx-node")) as unknown as {
  readonly default: { readonly Vad: new(config: unknown, seconds: number) => Vad }
}
const vad = new sherpa.Vad({
  sileroVad: { model, threshold: 0.5, minSilenceDuration: 0.3, minSpeechDuration: 0.1, windowSize: windowSamples },
  sampleRate,
  numThreads: 1,
  provider: "cpu"
}, bufferSeconds)
const found: Array<readonly [number, number]> = []
const take = () => {
  for (; !vad.isEmpty(); vad.pop()) {
    const { samples, start } = vad.front(false)
    found.push([start, start + samples.length])
  }
}
for (let at = 0; at + windowSamples <= samples.length; at += windowSamples) {
  vad.acceptWaveform(samples.subarray(at, at + windowSamples))
  take()
}
vad.flush()
take()
process.stdout.write(JSON.stringify(found))
