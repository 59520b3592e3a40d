import { describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { JobId, VoiceId } from "../../src/domain/Ids.ts"
import { dayOf, makeId, millisOf } from "../../src/services/Ids.ts"

const made = Date.UTC(2026, 10, 22, 23, 59, 59, 999)

describe("Ids", () => {
  it.effect("are what their kind's schema takes, each greater than the one before", () =>
    Effect.gen(function*() {
      const ids = yield* Effect.all(Array.from({ length: 1_000 }, () => makeId("job")))
      assert.ok(ids.every(Schema.is(JobId)))
      assert.deepEqual(ids, [...new Set(ids)].toSorted())
      assert.ok(Schema.is(VoiceId)(yield* makeId("vox")))
    }))

  it.effect("carry the time they were made at, to the ms", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(made)
      const id = yield* makeId("job")
      assert.equal(millisOf(id), made)
      assert.equal(dayOf(millisOf(id)!), "2026-11-22")
    }))

  it("carry no time when they are a preset's or nobody's", () => {
    for (
      const id of ["vox_flite_awb", "job_", "", "job_8zzzzzzzzzzzzzzzzzzzzzzzzz", "job_01jilou0000000000000000000"]
    ) {
      assert.equal(millisOf(id), undefined, id)
    }
  })
})
