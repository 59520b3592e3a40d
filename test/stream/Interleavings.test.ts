/** Random interleavings of everything that can happen to a session. `SCAISPEAK_TEST_INTERLEAVINGS` says how many. */
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { interleaving } from "./Interleavings.ts"

const count = Number(process.env["SCAISPEAK_TEST_INTERLEAVINGS"] ?? 1000)
const from = Number(process.env["SCAISPEAK_TEST_FROM"] ?? 1)

describe("any interleaving", () => {
  it.effect(
    `of ${count}: no frame of an old epoch, no sample lost or doubled, every flush answered once, nothing left`,
    () =>
      Effect.gen(function*() {
        let items = 0
        for (let seed = from; seed < from + count; seed++) items += yield* interleaving(seed, 30)
        assert.ok(items > count)
      }),
    600_000
  )
})
