import { describe, it } from "@effect/vitest"
import { Schema } from "effect"
import assert from "node:assert/strict"
import { estimate } from "../../src/domain/WordTimes.ts"

describe("estimate", () => {
  it("gives each word its share of the letters", () => {
    assert.deepEqual(estimate("one  three", 800), [
      { text: "one", startMs: 0, endMs: 300, source: "estimated" },
      { text: "three", startMs: 300, endMs: 800, source: "estimated" }
    ])
  })

  const Text = Schema.NonEmptyArray(Schema.String.check(Schema.isPattern(/^[a-z]{1,12}$/u)))
  const Millis = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100_000 }))

  it.prop("is contiguous, in order, and fills the audio, whatever the text", [Text, Millis], ([spoken, duration]) => {
    const words = estimate(spoken.join(" "), duration)
    assert.deepEqual(words.map(({ text }) => text), spoken)
    assert.equal(words[0]!.startMs, 0)
    assert.equal(words.at(-1)!.endMs, duration)
    for (let i = 1; i < words.length; i++) assert.equal(words[i]!.startMs, words[i - 1]!.endMs)
  })
})
