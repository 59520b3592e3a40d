import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { match } from "../../../src/engine/fit/Match.ts"
import { measureProfile, type Profile } from "../../../src/engine/fit/Profile.ts"
import { bases } from "../../../src/engine/flite/Bases.ts"
import { sampleRate } from "../../../src/engine/flite/Piece.ts"
import { harvardSentences } from "../../recogniser/harvard.ts"
import { say } from "../flite/module.ts"
import { join16 } from "./clips.ts"
import { floats } from "./SpeakerScore.ts"
import { vowels } from "./vowels.ts"

const profileOf = (samples: Float64Array): Profile => {
  const profile = measureProfile(samples, sampleRate)
  assert.ok(!("refused" in profile))
  return profile
}

const man = { name: "man", ...profileOf(vowels(110, 1)), warpPercentMin: 80, warpPercentMax: 126 }

describe("match", () => {
  for (const scale of [0.85, 0.93, 1, 1.08, 1.17, 1.22]) {
    it(`finds a vocal tract scaled by ${scale} within 3 %`, () => {
      const { warpPercent } = match(profileOf(vowels(110 * scale, scale)), [man])
      assert.ok(Math.abs(warpPercent / (100 * scale) - 1) <= 0.03, `${warpPercent}`)
    })
  }

  it("is moved neither by loudness nor by the tilt of a microphone", () => {
    const target = profileOf(vowels(110, 1.1))
    const heard = { ...target, envelopeDb: target.envelopeDb.map((db, band) => db - 20 + 0.3 * band) }
    assert.equal(match(heard, [man]).warpPercent, match(target, [man]).warpPercent)
  })

  it("takes the voice that is meant", () => {
    for (const base of bases) {
      const same = match({ ...base, f0Semitones: 1.2, envelopeDb: Float64Array.from(base.envelopeDb) }, bases)
      assert.deepEqual([same.base.name, same.warpPercent], [base.name, 100])
    }
  })

  it("stays within what a voice can bear", () => {
    for (const base of bases) {
      for (const scale of [0.7, 1.4]) {
        const { warpPercent } = match(profileOf(vowels(110, scale)), [base])
        assert.ok(warpPercent >= base.warpPercentMin && warpPercent <= base.warpPercentMax)
      }
    }
  })
})

describe("the table of bases", () => {
  for (const base of bases) {
    it(`is what ${base.name} measures`, () => {
      const measured = profileOf(floats(join16(harvardSentences.map((text) => say(text, base.name).samples))))
      assert.ok(Math.abs(measured.f0Hz / base.f0Hz - 1) < 0.02, `${measured.f0Hz}`)
      const level = measured.envelopeDb.reduce((sum, db) => sum + db, 0) / measured.envelopeDb.length
      measured.envelopeDb.forEach((db, band) => {
        assert.ok(Math.abs(db - level - base.envelopeDb[band]!) < 0.7, `band ${band}: ${db - level}`)
      })
    })
  }
})
