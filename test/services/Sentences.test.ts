import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { pieceLengthMax, pieces } from "../../src/services/Sentences.ts"

const texts = (text: string) => [...pieces(text)].map((piece) => piece.text)

const table: ReadonlyArray<readonly [why: string, text: string, wanted: ReadonlyArray<string>]> = [
  ["cuts at full stops", "One thing. Another thing.", ["One thing.", "Another thing."]],
  ["knows titles and places", "Dr. Smith lives in St. Louis. He is old.", [
    "Dr. Smith lives in St. Louis.",
    "He is old."
  ]],
  ["knows initials", "J. R. R. Tolkien wrote it.", ["J. R. R. Tolkien wrote it."]],
  ["leaves money and times alone", "He paid $3.50 at 3 p.m. on Tuesday.", ["He paid $3.50 at 3 p.m. on Tuesday."]],
  ["joins what goes on in lower case", "Ok... fine. Version 3.1. is out.", ["Ok... fine.", "Version 3.1. is out."]],
  ["leaves addresses alone", "See www.Example.Com for more.", ["See www.Example.Com for more."]],
  ["reads over a soft line break", "A line\nand its end.", ["A line\nand its end."]],
  ["cuts at an empty line", "A title\n\nA text.", ["A title", "A text."]],
  ["needs no full stop", "  no marks at all ", ["no marks at all"]],
  ["gives marks and pictograms alone to their neighbour", "Well done. 👏 !!", ["Well done. 👏 !!"]],
  ["has no piece without a word", "... 😀 !", []]
]

describe("pieces", () => {
  for (const [why, text, wanted] of table) it(why, () => assert.deepEqual(texts(text), wanted))

  it("tells sentences from paragraphs", () =>
    assert.deepEqual([...pieces("One.\n\nTwo. Three.")].map(({ pause }) => pause), [
      "paragraph",
      "sentence",
      "sentence"
    ]))

  it("cuts a long sentence at clause marks, the first piece early", () => {
    const clauses = "it was the best of times, it was the worst of times, it was the age of wisdom, ".repeat(4)
    const found = [...pieces(`${clauses}and so on.`)]
    assert.ok(found[0]!.text.length <= 90)
    assert.ok(found.every(({ text }) => text.length <= pieceLengthMax))
    assert.ok(found.slice(0, -1).every(({ pause, text }) => pause === "clause" && text.endsWith(",")))
  })

  it("cuts between words where there is no mark, and within one that has no end", () => {
    assert.ok(texts("word ".repeat(100)).every((text) => text.length <= pieceLengthMax && /^(?:word ?)+$/u.test(text)))
    assert.ok(texts("a".repeat(1000)).every((text) => text.length <= pieceLengthMax))
    assert.ok(texts("𝐀".repeat(1000)).every((text) => text.isWellFormed()))
  })

  it("holds every word of a long text, in order", () => {
    const text = Array.from({ length: 3000 }, (_, i) => `Number ${i} is here${i % 7 === 0 ? "" : "."}`).join(" ")
    assert.equal(texts(text).join(" "), text)
  })

  it("reads no further than it is asked to", () => {
    const began = performance.now()
    pieces("The quick brown fox jumps over the lazy dog. ".repeat(20_000)).next()
    assert.ok(performance.now() - began < 100)
  })
})
