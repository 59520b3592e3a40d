/**
 * Does a described voice sound as described? Measured on what the engine speaks: pitch by YIN, pace by length, timbre by the
 * spectrum, words by the recogniser.
 */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import type { Engine } from "../../src/engine/Engine.ts"
import { bandHz, melEnvelope } from "../../src/engine/fit/MelEnvelope.ts"
import * as Flite from "../../src/engine/Flite.ts"
import { design } from "../../src/engine/flite/Design.ts"
import { activeLevel } from "../../src/engine/flite/Loudness.ts"
import { targetDbfs } from "../../src/engine/flite/Voices.ts"
import type { SynthesisParams } from "../../src/proto/scaiinfer/v1/audio.ts"
import { distractors, harvardSentences } from "../recogniser/harvard.ts"
import { recognise, wordErrorRate, wordsOf } from "../recogniser/Recogniser.ts"
import { join16 } from "./fit/clips.ts"
import { floats, medianPitch } from "./fit/SpeakerScore.ts"
import { described, preset, say } from "./fit/spoken.ts"

const sentences = harvardSentences.slice(0, 6)
const vocabulary = [...harvardSentences.flatMap(wordsOf), ...distractors]
const errorRateMax = 0.4
const levelErrorDbMax = 2.5
/** Between what a design asks for and what is heard on other sentences. */
const f0ErrorMax = 0.08

class Flites extends Context.Service<Flites, Engine>()("test/Flites") {
  static readonly layer = Layer.effect(Flites, Flite.make({ workers: 2 }))
}

const heardOf = Effect.fnUntraced(function*(prompt: string, params?: SynthesisParams) {
  const flite = yield* Flites
  const spoken = yield* Effect.forEach(sentences, (text) => say(flite, described(prompt), text, params), {
    concurrency: 2
  })
  const clips = spoken.map(({ samples }) => samples)
  const all = join16(clips)
  const { meanDb } = melEnvelope(floats(all), 16000)
  const mean = (bands: ReadonlyArray<number>) => bands.reduce((sum, db) => sum + db, 0) / bands.length
  return {
    clips,
    f0Hz: medianPitch(all),
    millis: all.length / 16,
    levelDbfs: activeLevel(all, 16000),
    /** dB above 2 kHz against below 800 Hz. */
    trebleDb: mean([...meanDb].filter((_, band) => bandHz[band]! > 2000)) -
      mean([...meanDb].filter((_, band) => bandHz[band]! < 800))
  }
})

const prompts = [
  "A deep, slow old man",
  "A young woman with a bright voice",
  "A warm middle-aged American man",
  "A little girl",
  "A brisk Scottish man"
]

layer(Flites.layer, { excludeTestServices: true, timeout: 60_000 })("a voice that is described", (it) => {
  for (const prompt of prompts) {
    it.effect(`is understood, has its pitch and is as loud as the others: ${prompt}`, () =>
      Effect.gen(function*() {
        const { clips, f0Hz, levelDbfs } = yield* heardOf(prompt)
        const heard = yield* Effect.promise(() => Promise.all(clips.map((clip) => recognise(clip, vocabulary))))
        const errorRate = wordErrorRate(sentences.flatMap(wordsOf), heard.flat())
        assert.ok(errorRate <= errorRateMax, `${errorRate}`)
        const wanted = design(prompt, 0)
        assert.ok(Math.abs(f0Hz / wanted.f0Hz - 1) < f0ErrorMax, `${wanted.f0Hz} Hz, heard ${f0Hz} Hz`)
        assert.ok(Math.abs(levelDbfs - targetDbfs) < levelErrorDbMax, `${levelDbfs} dBFS`)
        console.log(
          `${prompt.padEnd(34)} ${wanted.base}, ${(wanted.warpPercent / 100).toFixed(2)}  F0 ${
            wanted.f0Hz.toFixed(0)
          } → ` +
            `${f0Hz.toFixed(0)} Hz  WER ${(100 * errorRate).toFixed(0)} %  ${levelDbfs.toFixed(1)} dBFS`
        )
      }), 60_000)
  }

  it.effect("follows the words for gender, pitch, pace and timbre", () =>
    Effect.gen(function*() {
      const [man, woman, deep, slow, fast, bright, dark] = yield* Effect.forEach(
        ["a man", "a woman", "a deep man", "a slow woman", "a fast woman", "a bright woman", "a dark woman"],
        (prompt) => heardOf(prompt)
      )
      assert.ok(woman!.f0Hz > 1.3 * man!.f0Hz, `${man!.f0Hz} ${woman!.f0Hz}`)
      assert.ok(deep!.f0Hz < 0.95 * man!.f0Hz, `${man!.f0Hz} ${deep!.f0Hz}`)
      assert.ok(slow!.millis > 1.4 * fast!.millis, `${slow!.millis} ${fast!.millis}`)
      assert.ok(bright!.trebleDb > dark!.trebleDb + 6, `${bright!.trebleDb} ${dark!.trebleDb}`)
    }), 60_000)

  it.effect(
    "is the same for the same words and seed, byte for byte, and another for another seed",
    () =>
      Effect.gen(function*() {
        const flite = yield* Flites
        const ask = (engine: Engine, seed?: number) =>
          say(engine, described("a calm woman"), "The same again.", seed === undefined ? undefined : { seed })
        const here = yield* ask(flite, 7)
        const there = yield* Effect.scoped(Effect.flatMap(Flite.make({ workers: 1 }), (other) => ask(other, 7)))
        assert.deepEqual(here.samples, there.samples)
        assert.deepEqual((yield* ask(flite)).samples, (yield* ask(flite, 0)).samples)
        const pitches = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (seed) => heardOf("a calm woman", { seed }))
        const hertz = pitches.map(({ f0Hz }) => f0Hz)
        assert.equal(new Set(pitches.map(({ clips }) => Buffer.from(clips[0]!.buffer).toString("base64"))).size, 6)
        assert.ok(Math.max(...hertz) > 1.08 * Math.min(...hertz), `${hertz}`)
      }),
    60_000
  )

  it.effect("takes the seed, which no other voice does", () =>
    Effect.gen(function*() {
      const flite = yield* Flites
      const params = { seed: 7, cfgValue: 2, instructions: "calmly" }
      const ignored = (voice: Parameters<typeof say>[1]) =>
        Effect.map(say(flite, voice, "Hello.", params), ({ speech }) => speech.ignoredParams)
      assert.deepEqual(yield* ignored(described("a woman")), ["cfg_value", "instructions"])
      assert.deepEqual(yield* ignored(preset("slt")), ["cfg_value", "instructions", "seed"])
    }))

  it.effect("needs a word", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(Effect.asVoid(say(yield* Flites, described(" "), "Hello.")))
      assert.ok(refused._tag === "InvalidRequest")
      assert.equal(refused.details[0]!.field, "design_prompt")
    }))
})
