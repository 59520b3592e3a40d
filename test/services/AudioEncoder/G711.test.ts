import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { alawCode, compand, mulawCode } from "../../../src/services/AudioEncoder/G711.ts"
import { alawSample, mulawSample } from "./g711Reference.ts"

const samples = Array.from({ length: 0x10000 }, (_, i) => i - 0x8000)
const codes = Array.from({ length: 0x100 }, (_, i) => i)

const laws = [
  {
    law: "mulaw" as const,
    codeOf: mulawCode,
    sampleOf: mulawSample,
    /** Sample, code: ends, zeros and segment borders by table 2a. */
    known: [[0, 0xff], [-1, 0x7f], [4, 0xfe], [-5, 0x7e], [124, 0xef], [32635, 0x80], [32767, 0x80], [-32768, 0x00]],
    halfStep: (segment: number) => 4 * 2 ** segment,
    /** Above the last decision level, 32 636, everything is the last level. */
    overload: 32768 - 32124
  },
  {
    law: "alaw" as const,
    codeOf: alawCode,
    sampleOf: alawSample,
    known: [[0, 0xd5], [-1, 0x55], [15, 0xd5], [16, 0xd4], [512, 0xf5], [1024, 0xe5], [32767, 0xaa], [-32768, 0x2a]],
    halfStep: (segment: number) => 8 * 2 ** Math.max(0, segment - 1),
    overload: 32768 - 32256
  }
]

describe.each(laws)("G.711 $law", ({ codeOf, halfStep, known, law, overload, sampleOf }) => {
  it("gives the recommendation's codes", () => {
    for (const [sample, code] of known) assert.equal(codeOf(sample!), code, `${sample}`)
  })

  it("gives back every code that it decodes", () => {
    // μ-law has two zeros; the positive one is sent for silence.
    for (const code of codes) assert.equal(codeOf(sampleOf(code)), sampleOf(code) === 0 ? codeOf(0) : code)
  })

  it("never errs by more than half a step", () => {
    for (const sample of samples) {
      const code = codeOf(sample)
      const segment = ((law === "mulaw" ? ~code : code ^ 0x55) >> 4) & 7
      const bound = Math.abs(sample) >= 32636 ? overload : halfStep(segment)
      assert.ok(Math.abs(sample - sampleOf(code)) <= bound, `${sample}`)
    }
  })

  it("mirrors negative samples in ones' complement", () => {
    for (const sample of samples) assert.equal(codeOf(~sample), codeOf(sample) ^ 0x80)
  })

  it("compands bytes at any alignment", () => {
    const pcm = new Uint8Array(9)
    new DataView(pcm.buffer).setInt16(1, -1234, true)
    new DataView(pcm.buffer).setInt16(3, 1234, true)
    const out = new Uint8Array(2)
    compand(law, pcm.subarray(1, 5), out)
    assert.deepEqual([...out], [codeOf(-1234), codeOf(1234)])
  })
})
