/**
 * Is it speech? Twenty sentences in each voice, through the real node over gRPC, read back by a recogniser that knows
 * only which words exist. The controls show that the measure bites.
 */
import { layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { activeLevel } from "../../src/engine/flite/Loudness.ts"
import { voices } from "../../src/engine/flite/Voices.ts"
import { NodeProgram } from "../../src/engine/NodeProgram.ts"
import { distractors, harvardSentences } from "../recogniser/harvard.ts"
import { recognise, wordErrorRate, wordsOf } from "../recogniser/Recogniser.ts"
import { connect, samplesOf, speak } from "./NodeClient.ts"

const reference = harvardSentences.flatMap(wordsOf)
const vocabulary = [...reference, ...distractors]
const errorRateMax = 0.35
const controlErrorRateMin = 0.9

const hear = (clips: ReadonlyArray<Int16Array>) =>
  Effect.promise(() => Promise.all(clips.map((clip) => recognise(clip, vocabulary)))).pipe(
    Effect.map((heard) => heard.flat())
  )

const node = NodeProgram.layer({
  host: "127.0.0.1",
  port: 0,
  nodeId: "test",
  workers: 2,
  capacity: 4,
  queue: 20,
  drainMillis: 1000
})

layer(node, { excludeTestServices: true })("what is spoken", (it) => {
  const clipsOf = Effect.fnUntraced(function*(voice: string) {
    const client = yield* connect((yield* NodeProgram).address)
    return yield* Effect.forEach(harvardSentences, (text) => Effect.map(speak(client, { text, voice }), samplesOf), {
      concurrency: 4
    })
  })

  for (const { name } of voices) {
    it.effect(`is understood, and its reverse is not: ${name}`, () =>
      Effect.gen(function*() {
        const clips = yield* clipsOf(name)
        const heard = yield* hear(clips)
        const errorRate = wordErrorRate(reference, heard)
        assert.ok(errorRate <= errorRateMax, `${name}: ${errorRate}`)

        const wrongText = [...harvardSentences.slice(10), ...harvardSentences.slice(0, 10)].flatMap(wordsOf)
        const wrong = wordErrorRate(wrongText, heard)
        assert.ok(wrong >= controlErrorRateMin, `${name} against another text: ${wrong}`)

        const reversed = wordErrorRate(reference, yield* hear(clips.map((clip) => clip.toReversed())))
        assert.ok(reversed >= controlErrorRateMin, `${name} reversed: ${reversed}`)
      }), 60_000)
  }

  it.effect("is not heard in noise of the same length and level", () =>
    Effect.gen(function*() {
      const clips = yield* clipsOf("rms")
      const errorRate = wordErrorRate(reference, yield* hear(clips.map(noiseLike)))
      assert.ok(errorRate >= controlErrorRateMin, `noise: ${errorRate}`)
    }), 60_000)
})

/** White noise from a fixed seed. */
const noiseLike = (clip: Int16Array): Int16Array => {
  const amplitude = 32768 * 10 ** (activeLevel(clip, 16000) / 20) * Math.sqrt(3)
  let seed = 1
  return clip.map(() => {
    seed = (Math.imul(seed, 1664525) + 1013904223) | 0
    return Math.round((seed / 2 ** 31) * amplitude)
  })
}
