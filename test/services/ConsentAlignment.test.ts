/** People who say a text, and the same people against the texts of others: the scores lie apart. */
import { layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { ConsentAlignment } from "../../src/services/ConsentAlignment.ts"

const folder = "/usr/share/pocketsphinx/test/data/librivox"
const said = readFileSync(`${folder}/transcription`, "utf8").trim().split("\n").map((line) => {
  const [, text, file] = /^<s> (.*) <\/s> \((.*)\)$/u.exec(line)!
  return { text: text!, file: `${folder}/${file}.wav` }
})

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

  it.effect("of a language without a model, or words that nobody knows, nothing is said", () =>
    Effect.gen(function*() {
      const { check } = yield* ConsentAlignment
      const clip = clipOf(said[1]!.file)
      assert.equal(yield* check(clip, said[1]!.text, "nl", "consent"), null)
      assert.equal(yield* check(clip, "Xqzzy vrrbl plonktastic", "en", "consent"), null)
      const french = yield* Effect.flip(check(clip, "je suis d'accord avec tout cela", "fr", "consent"))
      assert.match(french.details[0]!.message, /^does not say consent_text/u)
    }))
})
