/** People who say a text, and the same people against the texts of others: the scores lie apart. */
import { layer } from "@effect/vitest"
import { Effect, Layer, Logger, Result } from "effect"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { ConsentAlignment } from "../../src/services/ConsentAlignment.ts"
import { readLibrivox } from "../engine/fit/clips.ts"

/** The shorter ones; `npm run bench:alignment` tells the scores of all, in noise too. */
const said = readLibrivox().filter((_, n) => [1, 2, 4].includes(n))

const clipOf = (file: string) => {
  const bytes = readFileSync(file)
  const length = (bytes.length - 44) >> 1
  const samples = new Float32Array(new SharedArrayBuffer(length * 4))
  for (let n = 0; n < length; n++) samples[n] = bytes.readInt16LE(44 + 2 * n) / 32_768
  return {
    facts: { container: "wav", codec: "pcm", sampleRate: 16_000, channels: 1, durationMs: length / 16 },
    sound: { samples, sampleRate: 16_000, channels: 1, peak: 1, fullScaleRatio: 0, cut: false }
  } as const
}

layer(ConsentAlignment.layer({ mode: "require", scoreMin: 0.92 }), { excludeTestServices: true })("alignment", (it) => {
  it.effect("what is said passes, and another text does not", () =>
    Effect.gen(function*() {
      const { check } = yield* ConsentAlignment
      for (const [n, { file, text }] of said.entries()) {
        const right = yield* check(clipOf(file), text, "en", "consent")
        assert.ok(right !== null && right.score >= 0.92 && right.words_found_ratio >= 0.7, JSON.stringify(right))
        const other = said[(n + 1) % said.length]!
        const { details } = yield* Effect.flip(check(clipOf(file), other.text, "en", "consent"))
        assert.equal(details[0]?.field, "consent")
      }
    }))

  it.effect("a language without a model is not judged; what cannot be judged in another is refused and says why", () =>
    Effect.gen(function*() {
      const { check } = yield* ConsentAlignment
      const clip = clipOf(said[1]!.file)
      assert.equal(yield* check(clip, said[1]!.text, "nl", "consent"), null)
      const unknown = {
        field: "consent_text",
        message: "has too few words that the dictionary knows to be found in consent"
      }
      for (const text of ["Xqzzy vrrbl plonktastic", "he was", "", "he was not an xqzzy vrrbl plonktastic"]) {
        const { details } = yield* Effect.flip(check(clip, text, "en", "consent"))
        assert.deepEqual(details, [unknown], text)
      }
      const french = yield* Effect.flip(check(clip, "je suis d'accord avec tout cela", "fr", "consent"))
      assert.match(french.details[0]!.message, /^does not say consent_text/u)
      const samples = new Float32Array(new SharedArrayBuffer(61 * 16_000 * 4))
      const long = yield* Effect.flip(
        check({ ...clip, sound: { ...clip.sound, samples } }, said[1]!.text, "en", "consent")
      )
      assert.deepEqual(long.details, [
        { field: "consent", message: "is longer than the 60 s that can be held against consent_text" }
      ])
    }))
})

const broken = new URL("data:text/javascript,throw new Error('no ears')")
for (const mode of ["record", "require"] as const) {
  layer(ConsentAlignment.layer({ mode, scoreMin: 0.92, worker: broken }).pipe(Layer.provideMerge(Logger.layer([]))))(
    `a server that cannot listen, ${mode}`,
    (it) => {
      it.effect(mode === "require" ? "refuses" : "knows no score", () =>
        Effect.gen(function*() {
          const { check } = yield* ConsentAlignment
          const checked = yield* Effect.result(check(clipOf(said[1]!.file), said[1]!.text, "en", "consent"))
          if (mode === "record") return assert.deepEqual(checked, Result.succeed(null))
          assert.ok(Result.isFailure(checked))
          assert.deepEqual(checked.failure.details, [
            { field: "consent", message: "could not be held against consent_text: this server cannot listen to it now" }
          ])
        }))
    }
  )
}

layer(ConsentAlignment.layer({ mode: "record", scoreMin: 0.92 }), { excludeTestServices: true })("recorded", (it) => {
  it.effect("a text that is not said has its low score, and one that nobody knows has none", () =>
    Effect.gen(function*() {
      const { check } = yield* ConsentAlignment
      const clip = clipOf(said[1]!.file)
      const other = yield* check(clip, said[2]!.text, "en", "consent")
      assert.ok(other !== null && other.score < 0.92, JSON.stringify(other))
      assert.equal(yield* check(clip, "Xqzzy vrrbl plonktastic", "en", "consent"), null)
    }))
})
