import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { measureProfile } from "../../../src/engine/fit/Profile.ts"
import { pulses, vowels } from "./vowels.ts"

const seconds = (count: number, level: number) => {
  let seed = 1
  return Float64Array.from(
    { length: count * 16000 },
    () => (level * (seed = (Math.imul(seed, 1664525) + 1013904223) | 0)) / 2 ** 31
  )
}

describe("measureProfile", () => {
  it("measures a voice: its pitch within 1 %, its stillness as next to none", () => {
    const profile = measureProfile(vowels(123, 1), 16000)
    assert.ok(!("refused" in profile))
    assert.ok(Math.abs(profile.f0Hz / 123 - 1) < 0.01 && profile.f0Semitones < 0.2, `${profile.f0Hz}`)
  })
  it("measures how far a voice moves", () => {
    // One second each of five notes, a semitone apart.
    const notes = new Float64Array(80_000)
    for (let i = 0; i < 5; i++) notes.set(pulses(120 * 2 ** (i / 12), 16000), i * 16000)
    const profile = measureProfile(notes, 16000)
    assert.ok(!("refused" in profile) && profile.f0Semitones > 1.2 && profile.f0Semitones < 1.9)
  })
  it("hears a voice through noise 20 dB under it", () => {
    const noise = seconds(3, 0.02)
    const profile = measureProfile(vowels(123, 1).map((sample, i) => sample + noise[i]!), 16000)
    assert.ok(!("refused" in profile) && Math.abs(profile.f0Hz / 123 - 1) < 0.02)
  })

  const refusals = [
    ["nothing", new Float64Array(0), /^holds 0 ms/u],
    ["silence", new Float64Array(80_000), /^holds 0 ms/u],
    ["a second of voice", vowels(123, 1).subarray(0, 16_000), /at least 2000 ms of speech/u],
    ["noise", seconds(5, 0.3), /no speaking voice/u]
  ] as const
  for (const [what, samples, message] of refusals) {
    it(`refuses ${what}, and says why`, () => {
      const refused = measureProfile(samples, 16000)
      assert.ok("refused" in refused)
      assert.match(refused.refused, message)
    })
  }
})
