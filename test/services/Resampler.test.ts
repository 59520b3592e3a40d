import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { makeResampler } from "../../src/services/Resampler.ts"
import { snrDb, tone } from "./AudioEncoder/Tone.ts"

const rates = [8000, 16000, 22050, 24000, 44100, 48000]
const pairs = rates.flatMap((rateIn) => rates.flatMap((rateOut) => (rateIn === rateOut ? [] : [{ rateIn, rateOut }])))

const resample = (rateIn: number, rateOut: number, input: Float64Array, cut = input.length): Float64Array => {
  const resampler = makeResampler(rateIn, rateOut)
  const output: Array<number> = []
  for (let i = 0; i < input.length; i += cut) output.push(...resampler.push(input.subarray(i, i + cut)))
  output.push(...resampler.end())
  return Float64Array.from(output)
}

/** Level of a sine after resampling, dB against the input, its ends left out. */
const levelDb = (rateIn: number, rateOut: number, hertz: number): number => {
  const input = Float64Array.from({ length: rateIn / 4 }, (_, n) => Math.sin((2 * Math.PI * hertz * n) / rateIn))
  const middle = resample(rateIn, rateOut, input).subarray(rateOut / 16, (rateOut * 3) / 16)
  return 10 * Math.log10(2 * middle.reduce((sum, value) => sum + value ** 2, 0) / middle.length)
}

describe.each(pairs)("Resampler $rateIn → $rateOut", ({ rateIn, rateOut }) => {
  it("keeps a signal, aligned to the sample, at more than 100 dB SNR and the rounded length", () => {
    const samples = Math.round(rateIn * 0.3) + 7
    const seconds = samples / rateIn
    const output = resample(rateIn, rateOut, tone(rateIn, samples, seconds))
    const wanted = Math.round((samples * rateOut) / rateIn)
    assert.equal(output.length, wanted)
    const snr = snrDb(tone(rateOut, wanted, seconds), output)
    assert.ok(snr > 100, `${snr} dB`)
  })

  it("passes 90 % of the lower band and keeps aliases and images 100 dB down", () => {
    const nyquist = Math.min(rateIn, rateOut) / 2
    const pass = levelDb(rateIn, rateOut, nyquist * 0.9)
    assert.ok(Math.abs(pass) < 0.1, `${pass} dB at 90 %`)
    if (rateIn < rateOut) return
    for (const share of [1.01, 1.1, 1.5]) {
      if (nyquist * share >= rateIn / 2) continue
      const alias = levelDb(rateIn, rateOut, nyquist * share)
      assert.ok(alias < -100, `${alias} dB at ${share} of the lower Nyquist frequency`)
    }
  })

  it("gives the same samples however the input is cut", () => {
    const input = tone(rateIn, 1003, 0.1)
    const whole = resample(rateIn, rateOut, input)
    for (const cut of [1, 7, 160, 999]) assert.deepEqual(resample(rateIn, rateOut, input, cut), whole)
  })
})

describe("Resampler", () => {
  it("gives no samples for none, and rounds the shortest inputs", () => {
    for (const { rateIn, rateOut } of pairs) {
      for (const samples of [0, 1, 2, 3]) {
        const output = resample(rateIn, rateOut, new Float64Array(samples))
        assert.equal(output.length, Math.round((samples * rateOut) / rateIn))
      }
    }
  })

  it("passes a constant unchanged", () => {
    const output = resample(22050, 48000, new Float64Array(4000).fill(0.5))
    for (const value of output.subarray(1000, 7000)) assert.ok(Math.abs(value - 0.5) < 1e-9)
  })

  it("gives the same samples when the tables of other ratios have taken the room of its own", () => {
    const input = tone(48_000, 4800, 0.1)
    const before = resample(48_000, 16_000, input)
    for (const rate of [191_996, 191_988]) makeResampler(rate, 16_000)
    assert.deepEqual(resample(48_000, 16_000, input), before)
  })

  it("refuses ratios whose table would be endless", () => {
    assert.throws(() => makeResampler(44101, 48000), /No resampling from 44101 Hz/)
  })
})
