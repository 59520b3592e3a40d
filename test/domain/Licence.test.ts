import { describe, it } from "@effect/vitest"
import { DateTime, Result } from "effect"
import assert from "node:assert/strict"
import { changed, mayUse } from "../../src/domain/Licence.ts"
import type { LicenceTerms } from "../../src/domain/Licence.ts"

const noon = Date.UTC(2026, 10, 24, 12)
const end = DateTime.makeUnsafe(noon)

describe("mayUse", () => {
  it.each(
    [
      ["nothing bounds it", { expiresAt: null, characterCap: null, charactersUsed: 0 }, noon, 1e6, undefined],
      ["a moment before its end", { expiresAt: end, characterCap: null, charactersUsed: 0 }, noon - 1, 10, undefined],
      ["at its end", { expiresAt: end, characterCap: null, charactersUsed: 0 }, noon, 10, "EXPIRED"],
      ["after its end", { expiresAt: end, characterCap: null, charactersUsed: 0 }, noon + 1, 10, "EXPIRED"],
      ["the last characters", { expiresAt: null, characterCap: 100, charactersUsed: 90 }, noon, 10, undefined],
      ["one too many", { expiresAt: null, characterCap: 100, charactersUsed: 91 }, noon, 10, "EXHAUSTED"],
      ["longer than the whole cap", { expiresAt: null, characterCap: 100, charactersUsed: 0 }, noon, 101, "EXHAUSTED"],
      ["a cap lowered below use", { expiresAt: null, characterCap: 50, charactersUsed: 90 }, noon, 1, "EXHAUSTED"],
      ["ended and used up", { expiresAt: end, characterCap: 10, charactersUsed: 10 }, noon, 1, "EXPIRED"],
      ["capped, before its end", { expiresAt: end, characterCap: 10, charactersUsed: 9 }, noon - 1, 1, undefined]
    ] as const
  )("%s", (_, licence, now, characters, refusal) =>
    assert.equal(
      mayUse("vox_a", licence, now, characters)?.code,
      refusal === undefined ? undefined : `SCAISPEAK_VOICE_LICENSE_${refusal}`
    ))
})

describe("changed", () => {
  const perpetual: LicenceTerms = { licensor: "Ada", type: "perpetual", expiresAt: null, characterCap: null }
  const timed: LicenceTerms = { ...perpetual, type: "time_bound", expiresAt: end }
  const counted: LicenceTerms = { ...perpetual, type: "usage_bound", characterCap: 100 }

  it.each<readonly [string, LicenceTerms | null, Partial<LicenceTerms>, LicenceTerms]>([
    ["a first licence", null, { licensor: "Ada", type: "perpetual" }, perpetual],
    ["a first one with a bound", null, { licensor: "Ada", type: "usage_bound", characterCap: 100 }, counted],
    ["a later end", timed, { expiresAt: DateTime.makeUnsafe(noon + 1) }, {
      ...timed,
      expiresAt: DateTime.makeUnsafe(noon + 1)
    }],
    ["another licensor", counted, { licensor: "Bob" }, { ...counted, licensor: "Bob" }],
    ["another type drops the old bound", timed, { type: "usage_bound", characterCap: 100 }, counted],
    ["the same type keeps its bound", timed, { type: "time_bound" }, timed],
    ["a cap that also ends", counted, { expiresAt: end }, { ...counted, expiresAt: end }],
    ["and ends no more", { ...counted, expiresAt: end }, { expiresAt: null }, counted],
    ["nothing", counted, {}, counted]
  ])("%s", (_, current, change, terms) => assert.deepEqual(changed(current, change), Result.succeed(terms)))

  it.each<readonly [string, LicenceTerms | null, Partial<LicenceTerms>, ReadonlyArray<string>]>([
    ["nothing of none", null, {}, ["licensor", "license_type"]],
    ["no licensor", null, { type: "perpetual" }, ["licensor"]],
    ["no type", null, { licensor: "Ada" }, ["license_type"]],
    ["time-bound without an end", perpetual, { type: "time_bound" }, ["license_expires_at"]],
    ["time-bound with a cap", timed, { characterCap: 1 }, ["license_character_cap"]],
    ["time-bound made endless", timed, { expiresAt: null }, ["license_expires_at"]],
    ["usage-bound without a cap", timed, { type: "usage_bound" }, ["license_character_cap"]],
    ["usage-bound made boundless", counted, { characterCap: null }, ["license_character_cap"]],
    ["perpetual with bounds", perpetual, { expiresAt: end, characterCap: 1 }, [
      "license_expires_at",
      "license_character_cap"
    ]]
  ])("refuses %s", (_, current, change, fields) => {
    const terms = changed(current, change)
    assert.ok(Result.isFailure(terms))
    assert.deepEqual(terms.failure.details.map(({ field }) => field), fields)
  })
})
