import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { designEqualiser, equalise, equaliserTaps } from "../../../src/engine/fit/Equaliser.ts"
import { bandCount, bandHz, readBands } from "../../../src/engine/fit/MelEnvelope.ts"

const rate = 16000
/** dB of a filter at a frequency. */
const response = (taps: Float32Array, hz: number): number => {
  let re = 0
  let im = 0
  taps.forEach((tap, n) => {
    re += tap * Math.cos((2 * Math.PI * hz * n) / rate)
    im -= tap * Math.sin((2 * Math.PI * hz * n) / rate)
  })
  return 10 * Math.log10(re * re + im * im)
}

const curves = {
  "a flat curve": () => 0,
  "a tilt from 12 dB to -12 dB": (band: number) => 12 - (24 * band) / (bandCount - 1),
  "a hump of 10 dB": (band: number) => 10 * Math.exp(-(((band - 18) / 5) ** 2)),
  "waves of 6 dB": (band: number) => 6 * Math.sin((2 * Math.PI * band) / 16),
  "a telephone": (band: number) => (band < 6 || band > 32 ? -12 : 0)
}

describe("designEqualiser", () => {
  for (const [what, curve] of Object.entries(curves)) {
    const steep = what === "a telephone"
    it(`follows ${what} within 1 dB${steep ? ", away from its edges" : ""}`, () => {
      const curveDb = Float64Array.from({ length: bandCount }, (_, band) => curve(band))
      const taps = designEqualiser(curveDb, rate)
      assert.equal(taps.length, equaliserTaps)
      bandHz.forEach((hz, band) => {
        if (steep && [6, 7, 32, 33, 5, 34].includes(band)) return
        const error = response(taps, hz) - readBands(curveDb, hz)
        assert.ok(Math.abs(error) < 1, `${hz} Hz: ${error} dB`)
      })
    })
  }
})

describe("equalise", () => {
  const taps = designEqualiser(Float64Array.from({ length: bandCount }, (_, band) => 6 - band / 4), rate)
  const flat = designEqualiser(new Float64Array(bandCount), rate)
  const sweep = (length: number) => Float64Array.from({ length }, (_, n) => Math.sin(n * n * 1e-5))

  it("leaves a signal as it is where the curve is flat, whatever its length", () => {
    for (const length of [0, 1, 255, 1537, 3074, 10_000]) {
      const input = sweep(length)
      const output = equalise(input, flat)
      assert.equal(output.length, length)
      output.forEach((sample, n) => assert.ok(Math.abs(sample - input[n]!) < 1e-6))
    }
  })

  it("keeps every moment where it was", () => {
    const input = new Float64Array(6000)
    for (const at of [700, 2048, 5500]) input[at] = 1
    const output = equalise(input, taps)
    for (const at of [700, 2048, 5500]) {
      for (let d = 1; d < 200; d++) {
        assert.ok(Math.abs(output[at]!) > Math.abs(output[at + d]!))
        assert.ok(Math.abs(output[at - d]! - output[at + d]!) < 1e-6)
      }
    }
  })

  it("is the convolution that it stands for", () => {
    const input = sweep(5000)
    const output = equalise(input, taps)
    for (const n of [0, 100, 1536, 1537, 2000, 3073, 4999]) {
      let sum = 0
      taps.forEach((tap, i) => (sum += tap * (input[n + equaliserTaps / 2 - i] ?? 0)))
      assert.ok(Math.abs(output[n]! - sum) < 1e-6)
    }
  })
})
