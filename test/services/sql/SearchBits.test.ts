import { describe, it } from "@effect/vitest"
import { Schema } from "effect"
import assert from "node:assert/strict"
import { nameBits, textBits } from "../../../src/services/sql/SearchBits.ts"
import { fold } from "../../../src/services/sql/VoiceRow.ts"

const holds = (text: Record<string, number>, word: Record<string, number>) =>
  Object.entries(word).every(([column, mask]) => (BigInt(text[column]!) & BigInt(mask)) === BigInt(mask))

const Words = Schema.Array(Schema.String).check(Schema.isMaxLength(20))

describe("search bits", () => {
  it.prop("of every part of a word are among those of its text", [Words, Schema.Natural, Schema.Natural], ([
    words,
    from,
    length
  ]) => {
    const text = words.map(fold).join("\n")
    for (const word of text.split(/[ \n]/u)) {
      const part = word.slice(from % (word.length + 1)).slice(0, length)
      assert.ok(holds(textBits(text), textBits(part)), JSON.stringify([text, part]))
      assert.ok(holds(nameBits(text), nameBits(part)), JSON.stringify([text, part]))
    }
  })

  it("are whole numbers that a double holds, and tell most words apart", () => {
    const text = fold("A calm voice for narration, take 12. Žofie 日本語")
    for (const mask of Object.values({ ...textBits(text), ...nameBits(text) })) assert.ok(Number.isSafeInteger(mask))
    const words = ["zanzibar", "xyzzy", "husky", "brisk", "announcement", "dialogue", "lesson", "bright"]
    assert.deepEqual(words.filter((word) => holds(textBits(text), textBits(word))), [])
  })

  it("of one character are none", () => {
    assert.ok(Object.values(textBits("%")).every((mask) => mask === 0))
  })
})
