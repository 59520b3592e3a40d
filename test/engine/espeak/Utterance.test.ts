/** Words of a text, and the events of espeak that say when each is heard: as it gave them for these very texts. */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { makePlacer, utteranceOf } from "../../../src/engine/espeak/Utterance.ts"

/** Rate 1000, so that samples are milliseconds. */
const placed = (text: string, events: ReadonlyArray<readonly [type: string, position: number, millis: number]>) => {
  const placer = makePlacer(utteranceOf(text), 1000)
  return [
    ...placer.place(events.map(([type, text_position, audio_position]) => ({ type, text_position, audio_position }))),
    ...placer.end(events.at(-1)![2])
  ].map(({ end, start, text }) => `${text} ${start}-${end}`)
}

describe("an utterance of espeak", () => {
  it("escapes what would be markup, and finds its words behind it", () => {
    assert.equal(utteranceOf("Tom & <b> ran").markup, "Tom &amp; &lt;b&gt; ran")
    assert.deepEqual(
      placed("Tom & Jerry ran", [["word", 1, 0], ["word", 9, 332], ["word", 11, 542], ["word", 17, 798], [
        "end",
        19,
        1155
      ]]),
      ["Tom 0-332", "& 332-542", "Jerry 542-798", "ran 798-1155"]
    )
  })

  it("takes the many words of a number for one, without the marks around it", () => {
    assert.deepEqual(
      placed("paid $3.50, twice", [
        ["word", 1, 0],
        ["word", 6, 300],
        ["word", 7, 500],
        ["word", 7, 700],
        ["word", 7, 900],
        ["end", 11, 1200],
        ["word", 13, 1250],
        ["end", 17, 1600]
      ]),
      ["paid 0-300", "$3.50 300-1200", "twice 1250-1600"]
    )
  })

  it("shares out what it speaks in one breath", () => {
    assert.deepEqual(
      placed("sleeps for a while, of a kind", [
        ["word", 1, 0],
        ["word", 8, 400],
        ["word", 14, 800],
        ["end", 20, 1200],
        ["word", 21, 1300],
        ["end", 29, 1900]
      ]),
      [
        "sleeps 0-400",
        "for 400-700",
        "a 700-800",
        "while 800-1200",
        "of 1300-1471",
        "a 1471-1557",
        "kind 1557-1900"
      ]
    )
  })

  it("counts code points", () => {
    assert.deepEqual(placed("𝒜 ok", [["word", 1, 0], ["word", 3, 1368], ["end", 4, 1809]]), [
      "𝒜 0-1368",
      "ok 1368-1809"
    ])
  })

  it("finds words where a script writes no spaces", () => {
    assert.deepEqual(placed("你好,世界。", [["word", 1, 0], ["end", 4, 800], ["word", 4, 900], ["end", 6, 1700]]), [
      "你好 0-800",
      "世界 900-1700"
    ])
  })
})
