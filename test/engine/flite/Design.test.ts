import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { bases } from "../../../src/engine/flite/Bases.ts"
import { type Design, design } from "../../../src/engine/flite/Design.ts"

const seeds = Array.from({ length: 40 }, (_, seed) => seed)
const all = (prompt: string) => seeds.map((seed) => design(prompt, seed))
/** Every voice of one prompt against every voice of the other. */
const always = (a: string, b: string, holds: (a: Design, b: Design) => boolean) =>
  all(a).every((one) => all(b).every((other) => holds(one, other)))

describe("design", () => {
  it("gives the same voice for the same words and seed, and another for another", () => {
    assert.deepEqual(design("a man", 7), design("a man", 7))
    assert.equal(new Set(all("a man").map(({ f0Hz }) => f0Hz)).size, seeds.length)
    assert.notDeepEqual(design("a man", 7), design("the man", 7))
  })

  const orders: ReadonlyArray<
    readonly [low: string, high: string, what: keyof Design & ("f0Hz" | "f0Semitones" | "stretch")]
  > = [
    ["a man", "a woman", "f0Hz"],
    ["a woman", "a child", "f0Hz"],
    ["a deep man", "a high man", "f0Hz"],
    ["a very deep man", "a deep man", "f0Hz"],
    ["an elderly woman, deep", "a young woman, high", "f0Hz"],
    ["a fast woman", "a slow woman", "stretch"],
    ["a very brisk man", "a brisk man", "stretch"],
    ["a monotone man", "an expressive man", "f0Semitones"]
  ]
  for (const [low, high, what] of orders) {
    it(`puts ${what} of "${low}" under "${high}", whatever the seed`, () =>
      assert.ok(always(low, high, (a, b) => a[what] < b[what])))
  }

  it("tilts the spectrum as it is told", () => {
    const treble = ({ curveDb }: Design) => curveDb.at(-1)! - curveDb[0]!
    assert.ok(always("a dark man", "a bright man", (a, b) => treble(a) < treble(b)))
  })

  it("keeps to the accent, and to voices and warps that can be understood", () => {
    assert.ok(all("a Scottish woman").every(({ base }) => base === "awb"))
    assert.ok(all("an American man").every(({ base }) => base !== "awb"))
    for (const prompt of ["a man", "a woman", "a child", "a very deep old man", "a very high young girl", "?"]) {
      for (const { base, curveDb, f0Hz, warpPercent } of all(prompt)) {
        const bounds = bases.find(({ name }) => name === base)!
        assert.ok(warpPercent >= bounds.warpPercentMin && warpPercent <= bounds.warpPercentMax)
        assert.ok(f0Hz >= 65 && f0Hz <= 340 && curveDb.every((db) => Math.abs(db) <= 12))
      }
    }
  })
})
