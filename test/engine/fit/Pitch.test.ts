import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { trackPitch } from "../../../src/engine/fit/Pitch.ts"
import { pulses, vowels } from "./vowels.ts"

const voiced = (samples: Float64Array) => trackPitch(samples, 16000).filter((hz) => hz > 0).toSorted()

describe("trackPitch", () => {
  for (const hz of [65, 82.4, 110, 146.8, 207, 261.6, 340, 440]) {
    it(`finds ${hz} Hz within 1 %, in every frame`, () => {
      const track = trackPitch(pulses(hz, 16000), 16000)
      assert.ok(track.length > 90)
      for (const found of track) assert.ok(Math.abs(found / hz - 1) < 0.01, `${found}`)
    })
    it(`finds ${hz} Hz within 1 % behind formants`, () => {
      const found = voiced(vowels(hz, 1))
      assert.ok(Math.abs(found[found.length >> 1]! / hz - 1) < 0.01, `${found[found.length >> 1]}`)
    })
  }
  it("finds no pitch in silence and next to none in noise", () => {
    assert.equal(voiced(new Float64Array(16000)).length, 0)
    let seed = 1
    const noise = Float64Array.from(
      { length: 16000 },
      () => (seed = (Math.imul(seed, 1664525) + 1013904223) | 0) / 2 ** 31
    )
    assert.ok(voiced(noise).length <= 2)
  })
  it("does not look where it is told not to", () => {
    const track = trackPitch(pulses(110, 16000), 16000, (frame) => frame >= 50)
    assert.ok(track.subarray(0, 50).every((hz) => hz === 0) && track.subarray(50).every((hz) => hz > 0))
  })
  it("is empty for a clip shorter than a frame", () => assert.equal(trackPitch(pulses(110, 300), 16000).length, 0))
})
