import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { activeLevel, amplify } from "../../../src/engine/flite/Loudness.ts"
import { targetDbfs, voices } from "../../../src/engine/flite/Voices.ts"
import { harvardSentences } from "../../recogniser/harvard.ts"
import { say } from "./module.ts"

const tone = (amplitude: number, seconds: number) =>
  Int16Array.from(
    { length: seconds * 16000 },
    (_, i) => Math.round(amplitude * Math.sin((2 * Math.PI * 440 * i) / 16000))
  )
const peakDbfs = (samples: Int16Array) =>
  20 * Math.log10(samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0) / 32768)

describe("activeLevel", () => {
  it("is 3 dB under the peak for a sine", () => assert.ok(Math.abs(activeLevel(tone(16384, 1), 16000) + 9.03) < 0.05))
  it("leaves pauses out", () => {
    const paused = new Int16Array(48000)
    paused.set(tone(16384, 1), 16000)
    assert.ok(Math.abs(activeLevel(paused, 16000) + 9.03) < 0.1)
  })
  it("is without bottom for silence", () => assert.equal(activeLevel(new Int16Array(16000), 16000), -Infinity))
})

describe("amplify", () => {
  it("only multiplies what stays under the ceiling", () => {
    const samples = tone(4096, 1)
    const wanted = samples.map((sample) => 2 * sample)
    amplify(samples, 2)
    assert.deepEqual(samples, wanted)
  })
  it("turns a peak down smoothly, under -1 dBFS", () => {
    const samples = tone(4000, 1)
    samples.set(tone(30000, 0.05), 8000)
    amplify(samples, 2)
    assert.ok(peakDbfs(samples) < -1)
    assert.ok(Math.abs(activeLevel(samples.subarray(0, 6400), 16000) - activeLevel(tone(8000, 0.4), 16000)) < 0.01)
  })
})

describe("the voices", () => {
  const levels = new Map(
    voices.map(({ name }) => {
      const spoken = harvardSentences.map((text) => say(text, name).samples)
      const all = new Int16Array(spoken.reduce((length, samples) => length + samples.length, 0))
      let at = 0
      for (const samples of spoken) {
        all.set(samples, at)
        at += samples.length
      }
      return [name, { level: activeLevel(all, 16000), peak: peakDbfs(all) }] as const
    })
  )
  it("speak within 1.5 dB of each other, around the target", () => {
    const all = [...levels.values()].map(({ level }) => level)
    assert.ok(Math.max(...all) - Math.min(...all) < 1.5, `${all}`)
    assert.ok(all.every((level) => Math.abs(level - targetDbfs) < 1), `${all}`)
  })
  it("never pass -1 dBFS", () => assert.ok([...levels.values()].every(({ peak }) => peak < -1)))
})
