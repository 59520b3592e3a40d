/**
 * Scores of spoken texts: a reader of LibriVox against what he says and against the other texts, as recorded and with white
 * noise added at 20 and 10 dB below the speech.
 */
import { Effect } from "effect"
import { ConsentAlignment } from "../src/services/ConsentAlignment.ts"
import { readLibrivox, readWav } from "../test/engine/fit/clips.ts"

const said = readLibrivox().map(({ file, text }) => ({
  text,
  clean: Float32Array.from(readWav(file), (value) => value / 32_768)
}))

/** The same at every run. */
const noise = () => {
  let state = 1
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 31 - 1
  }
}

const uniformRms = Math.sqrt(1 / 3)

const noisy = (clean: Float32Array, snrDb: number) => {
  const rms = Math.sqrt(clean.reduce((sum, value) => sum + value * value, 0) / clean.length)
  const gain = rms / 10 ** (snrDb / 20) / uniformRms
  const next = noise()
  const samples = new Float32Array(new SharedArrayBuffer(clean.length * 4))
  for (let n = 0; n < clean.length; n++) samples[n] = clean[n]! + gain * next()
  return samples
}

const clipOf = (samples: Float32Array<SharedArrayBuffer>) => ({
  facts: { container: "wav", codec: "pcm", sampleRate: 16_000, channels: 1, durationMs: samples.length / 16 },
  sound: { samples, sampleRate: 16_000, channels: 1, peak: 1, fullScaleRatio: 0, cut: false }
} as const)

const sorted = (scores: ReadonlyArray<number>) => scores.toSorted((a, b) => a - b).map((it) => it.toFixed(3)).join(" ")

await Effect.runPromise(
  Effect.gen(function*() {
    const { check } = yield* ConsentAlignment
    for (const snrDb of [Infinity, 20, 10]) {
      const [right, wrong]: [Array<number>, Array<number>] = [[], []]
      for (const { clean, text } of said) {
        const clip = clipOf(noisy(clean, snrDb))
        for (const other of said) {
          const alignment = yield* check(clip, other.text, "en", "consent")
          ;(other.text === text ? right : wrong).push(alignment?.score ?? Number.NaN)
        }
      }
      console.log(
        `${snrDb === Infinity ? "as recorded" : `${snrDb} dB SNR`}\n  right ${sorted(right)}\n  wrong ${sorted(wrong)}`
      )
    }
  }).pipe(Effect.provide(ConsentAlignment.layer({ mode: "record", scoreMin: 0 })))
)
