/** Where a listener is, and what it has heard by then. */
import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { heardAt, placer } from "../../../src/domain/stream/Heard.ts"
import type { SpokenSegment } from "../../../src/domain/stream/Heard.ts"
import { Playhead } from "../../../src/domain/stream/Playhead.ts"

const segment = (utterance: number, text: string, start: number, startMs: number, endMs: number): SpokenSegment => ({
  utterance,
  text,
  start,
  end: start + [...text].length,
  startMs,
  endMs,
  whole: true,
  words: []
})

const spoken = [
  segment(1, "Hello there. ", 0, 0, 1000),
  segment(2, "One two three. ", 13, 1000, 2000),
  segment(2, "Four five. ", 28, 2000, 3000)
]

describe("heardAt", () => {
  it.each([
    ["nothing yet", 0, "", "Hello there. One two three. Four five. Six", 0],
    ["a word is heard when it has ended", 700, "Hello ", "there. One two three. Four five. Six", 6],
    ["the end of an utterance", 1000, "Hello there. ", "One two three. Four five. Six", 13],
    ["from the beginning of the utterance", 1600, "One two ", "three. Four five. Six", 21],
    ["over several segments", 2500, "One two three. Four ", "five. Six", 33],
    ["everything that was spoken", 9000, "One two three. Four five. ", "Six", 39]
  ])("%s", (_, at, heard, unheard, chars) => {
    assert.deepEqual(heardAt(spoken, "Six", 39, at), {
      heardText: heard,
      unheardText: unheard,
      heardChars: chars,
      confidence: "estimated"
    })
  })

  it("goes by the engine's word times where there are any, counts code points, and guesses what is not made yet", () => {
    const place = placer("\u{1f600} One two three.", 10)
    const timed: SpokenSegment = {
      ...segment(1, "\u{1f600} One two three.", 10, 500, 900),
      whole: false,
      words: ["One", "two", "three."].map((text, i) =>
        place({ text, startMs: 500 + i * 100, endMs: 600 + i * 100, source: "native" })
      )
    }
    assert.deepEqual(timed.words.map(({ chars }) => chars), [[12, 15], [16, 19], [20, 26]])
    assert.deepEqual(heardAt([timed], "", 26, 750), {
      heardText: "\u{1f600} One two ",
      unheardText: "three.",
      heardChars: 20,
      confidence: "aligned"
    })
    const untimed = { ...segment(1, "One two three four.", 0, 0, 100), whole: false }
    assert.equal(heardAt([untimed], "", 19, 100).heardText, "")
    assert.deepEqual(heardAt([], "Not begun", 5, 0), {
      heardText: "",
      unheardText: "Not begun",
      heardChars: 5,
      confidence: "estimated"
    })
  })
})

describe("Playhead", () => {
  it("runs with the clock, never past what was sent, and waits there", () => {
    const head = new Playhead()
    head.sent(1000, 0)
    assert.deepEqual([head.at(400), head.at(5000)], [400, 1000])
    head.sent(2000, 5000)
    assert.deepEqual([head.at(5000), head.at(5300), head.at(9000)], [1000, 1300, 2000])
  })
  it("believes the listener, but for what is late", () => {
    const head = new Playhead()
    head.sent(1000, 0)
    head.report(100, 500)
    assert.deepEqual([head.at(500), head.at(600)], [100, 200])
    head.report(5000, 700)
    assert.equal(head.at(700), 1000)
    head.skip(800)
    head.sent(2000, 800)
    head.report(400, 900)
    assert.equal(head.at(900), 1100)
    head.report(1050, 900)
    assert.equal(head.at(900), 1050)
  })
  it("stands still in a pause, and goes back where sent audio was lost", () => {
    const head = new Playhead()
    head.sent(1000, 0)
    head.pause(200)
    assert.equal(head.at(900), 200)
    head.resume(900)
    assert.equal(head.at(1000), 300)
    head.rewind(250, 1000)
    assert.deepEqual([head.at(1000), head.at(2000), head.sentMs], [250, 250, 250])
  })
})
