import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { spell } from "../../../src/engine/flite/Spelling.ts"

const table: ReadonlyArray<readonly [text: string, shown: ReadonlyArray<string>, spoken: string]> = [
  ["Hello, world!", ["Hello", "world"], "Hello, world!"],
  ["café Straße Łódź", ["café", "Straße", "Łódź"], "cafe Strasse Lodz"],
  ["“It’s me…”", ["It’s", "me"], "\"It's me...\""],
  ["this — that", ["this", "that"], "this, that"],
  ["well—known", ["well—known"], "well, known"],
  ["1990–1995", ["1990–1995"], "1990 to 1995"],
  ["$3.50 for 12", ["$3.50", "for", "12"], "$3.50 for 12"],
  ["£5, €6.50 and 100€", ["£5", "€6.50", "and", "100€"], "5 pounds, 6 euros 50 and 100 euros"],
  ["£7 million.", ["£7", "million"], "7 million pounds."],
  ["50% & 4°C", ["50%", "&", "4°C"], "50% and 4 degrees Celsius"],
  ["-5 + 3 = -2", ["-5", "+", "3", "=", "-2"], "minus 5 plus 3 equals minus 2"],
  ["½ and 1½", ["½", "and", "1½"], "one half and 1 and a half"],
  ["me@example.org", ["me@example.org"], "me at example dot org"],
  ["https://example.com/a", ["https://example.com/a"], "example dot com slash a"],
  ["and/or", ["and/or"], "and slash or"],
  ["v1.2.3 at 3.14", ["v1.2.3", "at", "3.14"], "v1 point 2 point 3 at 3.14"],
  ["the U.S.A. at 3 p.m.", ["the", "U.S.A.", "at", "3", "p.m."], "the U.S.A. at 3 p.m."],
  ["*bold* _it_ [x] {y}", ["bold", "it", "x", "y"], "bold it x y"],
  ["α-wave of 5 μm", ["α-wave", "of", "5", "μm"], "alpha -wave of 5 mu m"],
  ["hi 😀 there", ["hi", "there"], "hi there"],
  ["... 😀 —", [], ""]
]

describe("spell", () => {
  for (const [text, shown, spoken] of table) {
    it(`reads ${JSON.stringify(text)} as ${JSON.stringify(spoken)}`, () => {
      const spelled = spell(text)
      assert.equal(spelled.map((word) => word.spoken).join(" "), spoken)
      assert.deepEqual(spelled.map((word) => word.text), shown)
    })
  }
})
