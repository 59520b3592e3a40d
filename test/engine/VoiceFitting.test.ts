/**
 * Does a fitted voice follow its speaker? Four recorded people: the engine is given one half of each one's recordings,
 * and what it says then is compared with the other half, which it has not heard.
 *
 * The yardstick is `fit/SpeakerScore.ts`. It hears spectrum and pitch as the fit does, so it cannot say that a listener
 * would take one for the other; it says that what was measured has been followed, that this holds on other words, and that
 * it tells the speakers apart.
 */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import type { Engine } from "../../src/engine/Engine.ts"
import { match } from "../../src/engine/fit/Match.ts"
import { measureProfile } from "../../src/engine/fit/Profile.ts"
import * as Flite from "../../src/engine/Flite.ts"
import { bases } from "../../src/engine/flite/Bases.ts"
import { activeLevel } from "../../src/engine/flite/Loudness.ts"
import { targetDbfs, voices } from "../../src/engine/flite/Voices.ts"
import type { SynthesizeRequest } from "../../src/proto/scaiinfer/v1/audio.ts"
import { distractors, harvardSentences } from "../recogniser/harvard.ts"
import { recognise, wordErrorRate, wordsOf } from "../recogniser/Recogniser.ts"
import { join16, readSpeakers } from "./fit/clips.ts"
import { floats, makeScorer } from "./fit/SpeakerScore.ts"
import { like, preset, say } from "./fit/spoken.ts"

const sentences = harvardSentences.slice(0, 8)
const reference = sentences.flatMap(wordsOf)
const vocabulary = [...harvardSentences.flatMap(wordsOf), ...distractors]
const errorRateMax = 0.4
/** What fitting has to gain over the best voice as it is. */
const gainMin = 0.1
const f0ErrorMax = 0.06
const levelErrorDbMax = 2

class Spoken extends Context.Service<Spoken, { readonly flite: Engine; readonly measured: Measured }>()("test/Spoken") {
  static readonly layer = Layer.effect(
    Spoken,
    Effect.gen(function*() {
      const flite = yield* Flite.make({ workers: 2 })
      return { flite, measured: yield* measure(flite) }
    })
  )
}

type Measured = Effect.Success<ReturnType<typeof measure>>

const speakers = readSpeakers()

const sentencesIn = (flite: Engine, voice: SynthesizeRequest["voice"]) =>
  Effect.map(
    Effect.forEach(sentences, (text) => say(flite, voice, text), { concurrency: 2 }),
    (spoken) => spoken.map(({ samples }) => samples)
  )

const measure = Effect.fnUntraced(function*(flite: Engine) {
  const unfitted = yield* Effect.forEach(voices, ({ name }) => Effect.map(sentencesIn(flite, preset(name)), join16))
  const fitted = yield* Effect.forEach(speakers, ({ given }) => sentencesIn(flite, like(given)))
  const { alike, print } = makeScorer([...unfitted, ...speakers.flatMap(({ given, unseen }) => [given, unseen])])
  const unseen = speakers.map((one) => print(one.unseen))
  const seen = speakers.map(({ given }) => print(given))
  const presets = unfitted.map(print)
  const heard = yield* Effect.promise(() =>
    Promise.all(fitted.map((clips) => Promise.all(clips.map((clip) => recognise(clip, vocabulary)))))
  )
  return speakers.map(({ given, name }, i) => {
    const profile = measureProfile(floats(given), 16000)
    assert.ok(!("refused" in profile), name)
    const spoken = join16(fitted[i]!)
    const printed = print(spoken)
    const before = presets.map((one) => alike(one, unseen[i]!))
    return {
      name,
      chosen: match(profile, bases),
      f0Hz: seen[i]!.f0Hz,
      fittedF0Hz: printed.f0Hz,
      levelDbfs: activeLevel(spoken, 16000),
      /** The speaker against everybody's unseen half. */
      self: unseen.map((one) => alike(seen[i]!, one)),
      nearestPreset: voices[before.indexOf(Math.max(...before))]!.name,
      before: Math.max(...before),
      /** The fitted voice against everybody's unseen half. */
      after: unseen.map((one) => alike(printed, one)),
      errorRate: wordErrorRate(reference, heard[i]!.flat())
    }
  })
})

layer(Spoken.layer, { excludeTestServices: true, timeout: 240_000 })("a voice that follows a clip", (it) => {
  it.effect("is nearer to its speaker than any voice as it is, on words and seconds it never heard", () =>
    Effect.gen(function*() {
      const { measured } = yield* Spoken
      console.log(table(measured))
      measured.forEach(({ after, before, name }, i) => {
        assert.ok(after[i]! > before + gainMin, `${name}: ${before} → ${after[i]}`)
      })
    }))

  it.effect("is nearer to its speaker than to the others, and than the others' voices are", () =>
    Effect.gen(function*() {
      const { measured } = yield* Spoken
      measured.forEach(({ after, name }, i) => {
        measured.forEach((other, j) => {
          if (i === j) return
          assert.ok(after[i]! > after[j]!, `${name} sounds like ${other.name}: ${after}`)
          assert.ok(after[i]! > other.after[i]!, `${other.name} is nearer to ${name}`)
        })
      })
    }))

  it.effect("is judged by a yardstick that knows the people apart", () =>
    Effect.gen(function*() {
      const { measured } = yield* Spoken
      measured.forEach(({ name, self }, i) => {
        assert.ok(self.every((score, j) => i === j || score < self[i]! - gainMin), `${name}: ${self}`)
      })
    }))

  it.effect("has its speaker's pitch, and the loudness of every voice", () =>
    Effect.gen(function*() {
      for (const { f0Hz, fittedF0Hz, levelDbfs, name } of (yield* Spoken).measured) {
        assert.ok(Math.abs(fittedF0Hz / f0Hz - 1) < f0ErrorMax, `${name}: ${f0Hz} Hz, fitted ${fittedF0Hz} Hz`)
        assert.ok(Math.abs(levelDbfs - targetDbfs) < levelErrorDbMax, `${name}: ${levelDbfs} dBFS`)
      }
    }))

  it.effect("is understood", () =>
    Effect.gen(function*() {
      for (const { errorRate, name } of (yield* Spoken).measured) {
        assert.ok(errorRate <= errorRateMax, `${name}: ${errorRate}`)
      }
    }))

  it.effect("says when each word is heard, keeps the pace and clicks at no seam", () =>
    Effect.gen(function*() {
      const { flite } = yield* Spoken
      const text = "He paid, didn't he? Yes, I think so!"
      for (const { given, name } of speakers) {
        const { samples, words } = yield* say(flite, like(given), text)
        assert.equal(words.length, 8)
        const energy = (from: number, to: number) =>
          samples.subarray(from * 16, to * 16).reduce((sum, sample) => sum + sample * sample, 0) / ((to - from) * 16)
        const pause = energy(words[3]!.endMs + 40, words[4]!.startMs - 40)
        for (const { endMs, startMs, text } of words) {
          assert.ok(endMs > startMs && energy(startMs, endMs) > 20 * pause, `${name}: ${text}`)
        }
        for (const sample of [...samples.subarray(0, 8), ...samples.subarray(-8)]) assert.ok(Math.abs(sample) < 64)
        const twice = yield* say(flite, like(given), text, { speed: 2 })
        assert.ok(Math.abs(samples.length / twice.samples.length / 2 - 1) < 0.05)
      }
    }))

  it.effect("is the same, byte for byte, wherever it is fitted", () =>
    Effect.gen(function*() {
      const { flite } = yield* Spoken
      const voice = like(speakers[1]!.given)
      const here = yield* say(flite, voice, "The same again.")
      const there = yield* Effect.scoped(
        Effect.flatMap(Flite.make({ workers: 1 }), (other) => say(other, voice, "The same again."))
      )
      assert.equal(here.speech.deterministic, true)
      assert.deepEqual(here.samples, there.samples)
    }))

  let seed = 1
  const noise = Int16Array.from({ length: 80_000 }, () => (seed = (Math.imul(seed, 1664525) + 1013904223) | 0) >> 18)
  const refusals = [
    ["a clip that is too short", speakers[0]!.given.slice(0, 16_000), /1000 ms long/u],
    ["silence", new Int16Array(80_000), /0 ms of sound/u],
    [
      "a word in silence",
      join16([speakers[1]!.given.slice(0, 8000), new Int16Array(80_000)]),
      /ms of speech are needed/u
    ],
    ["noise", noise, /no speaking voice/u]
  ] as const
  for (const [what, clip, message] of refusals) {
    it.effect(`refuses to follow ${what}, and says why`, () =>
      Effect.gen(function*() {
        const refused = yield* Effect.flip(Effect.asVoid(say((yield* Spoken).flite, like(clip), "Hello.")))
        assert.ok(refused._tag === "InvalidRequest")
        assert.deepEqual(refused.details.map(({ field }) => field), ["reference"])
        assert.match(refused.details[0]!.message, message)
      }))
  }
})

const table = (measured: Measured): string =>
  [
    "speaker    base, warp   F0 → fitted   nearest preset  score → fitted  (own halves)  WER    dBFS  against everybody",
    ...measured.map((one, i) =>
      [
        one.name.padEnd(10),
        `${one.chosen.base.name}, ${(one.chosen.warpPercent / 100).toFixed(2)}`.padEnd(12),
        `${one.f0Hz.toFixed(0)} → ${one.fittedF0Hz.toFixed(0)} Hz`.padEnd(13),
        one.nearestPreset.padEnd(15),
        `${one.before.toFixed(2)} → ${one.after[i]!.toFixed(2)}`.padEnd(15),
        `(${one.self[i]!.toFixed(2)})`.padEnd(13),
        `${(100 * one.errorRate).toFixed(0)} %`.padEnd(6),
        one.levelDbfs.toFixed(1),
        one.after.map((score) => score.toFixed(2)).join(" ")
      ].join(" ")
    )
  ].join("\n")
