import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { makePiece } from "../../../src/engine/flite/Piece.ts"
import { spell } from "../../../src/engine/flite/Spelling.ts"
import { voices } from "../../../src/engine/flite/Voices.ts"
import { Program } from "../../../src/engine/flite/Wasi.ts"
import { flite, module, say } from "./module.ts"

const text = "He paid $3.50 for 12 apples, don't you know? It's the 3rd."
const pairs = (times: ReadonlyArray<number>) =>
  Array.from({ length: times.length / 2 }, (_, i) => [times[2 * i]!, times[2 * i + 1]!] as const)
const energy = (samples: Int16Array) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length

describe("makePiece", () => {
  for (const { name } of voices) {
    it(`says when each word is heard: ${name}`, () => {
      const { samples, times } = say(text, name)
      const spans = pairs(times)
      assert.equal(spans.length, spell(text).length)
      let before = 0
      for (const [start, end] of spans) {
        assert.ok(start >= before && end > start && end <= samples.length, `${spans}`)
        before = end
      }
      // "$3.50" is three dollars fifty cents: longer than its neighbours.
      assert.ok(spans[2]![1] - spans[2]![0] > 4 * (spans[1]![1] - spans[1]![0]))
      // The comma and the question mark are heard as pauses, and pauses are quiet.
      const pauses = spans.slice(1).map(([start], i) => [spans[i]![1], start] as const).filter(([from, to]) =>
        to > from
      )
      assert.ok(pauses.length >= 2)
      const loud = energy(samples.subarray(spans[0]![0], spans.at(-1)![1]))
      for (const [from, to] of pauses) assert.ok(energy(samples.subarray(from, to)) < loud / 4)
    })

    it(`is silent at its edges, so that no seam clicks: ${name}`, () => {
      const { samples } = say(text, name)
      for (const sample of [...samples.subarray(0, 8), ...samples.subarray(-8)]) assert.ok(Math.abs(sample) < 64)
    })

    it(`keeps the pace it is given: ${name}`, () => {
      const plain = say(text, name).samples.length
      for (const speed of [0.5, 0.8, 1.25, 2]) {
        const ratio = plain / say(text, name, { stretch: 1 / speed }).samples.length
        assert.ok(Math.abs(ratio / speed - 1) < 0.05, `${speed}: ${ratio}`)
      }
    })
  }

  it("gives the pause that is asked for, as long as the pace makes it", () => {
    const job = { voice: "kal16", words: ["ready"], gain: 1 }
    const length = (stretch: number, pauseMillis: number) =>
      makePiece(flite, { ...job, stretch, pauseMillis }).samples.length
    assert.equal(length(1, 350) - length(1, 0), 5600)
    assert.equal(length(2, 350) - length(2, 0), 11200)
  })

  it("never passes silence on as speech", () => {
    assert.throws(() => say("Hello there.", "kal16", { gain: 0 }), /silence/u)
    assert.throws(() => makePiece(flite, { voice: "kal16", words: ["!"], stretch: 1, gain: 1, pauseMillis: 0 }))
  })

  it("is the same whatever was said before", () => {
    const job = { voice: "slt", words: text.split(" "), stretch: 1, gain: 1, pauseMillis: 0 }
    const first = makePiece(new Program(module), job)
    for (const { name } of voices) say("Something else in between.", name, { stretch: 2 })
    assert.deepEqual(makePiece(flite, job), first)
  })

  it("takes text that looks like an option or a file for text", () => {
    assert.ok(say("-voice slt -o /etc/passwd", "kal16").samples.length > 16000)
    assert.ok(say("passwd", "kal16").samples.length > 4000)
  })

  it("knows a time for every word of any marks and letters", () => {
    const characters = [..."abcXYZ019.,:;!?'\"`()[]{}/\\@#$%^&*-_=+|~<>£€é—…’“ "]
    let seed = 7
    const random = (below: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below
    for (let i = 0; i < 120; i++) {
      const text = Array.from({ length: 30 }, () => characters[random(characters.length)]).join("")
      if (spell(text).length === 0) continue
      const spans = pairs(say(text, "kal16").times)
      assert.ok(spans.length === spell(text).length && spans.every(([start, end]) => end > start), JSON.stringify(text))
    }
  })
})
