import { describe, it } from "@effect/vitest"
import { Schema } from "effect"
import assert from "node:assert/strict"
import { BackendPolicy, decide } from "../../src/domain/BackendPolicy.ts"
import type { Backend, BackendPreference } from "../../src/domain/BackendPolicy.ts"

const available = { available: true } as const
const away = { available: false, reason: "it is away" } as const

type Allowed = BackendPolicy["allowedBackends"]

/** Every policy × preference × state of A × state of B, against what the contract says in words. */
const cases = [...function*() {
  const policies: ReadonlyArray<readonly [Allowed, Backend]> = [[["A"], "A"], [["B"], "B"], [["A", "B"], "A"], [[
    "A",
    "B"
  ], "B"]]
  const preferences: ReadonlyArray<BackendPreference> = ["any", "prefer_self_hosted", "prefer_relay"]
  for (const [allowedBackends, defaultBackend] of policies) {
    for (const preference of preferences) {
      for (const a of [true, false]) {
        for (const b of [true, false]) yield { allowedBackends, defaultBackend, preference, a, b }
      }
    }
  }
}()]

describe("decide", () => {
  it.each(cases)("$allowedBackends default $defaultBackend, $preference, A $a, B $b", (row) => {
    const { candidates, reasons } = decide(
      { allowedBackends: row.allowedBackends, defaultBackend: row.defaultBackend },
      row.preference,
      { A: row.a ? available : away, B: row.b ? available : away }
    )
    const servable = row.allowedBackends.filter((backend) => (backend === "A" ? row.a : row.b))
    assert.deepEqual([...candidates].sort(), [...servable].sort(), "what is allowed and can serve, no more and no less")
    const wish = row.preference === "prefer_self_hosted"
      ? "A"
      : row.preference === "prefer_relay"
      ? "B"
      : row.defaultBackend
    const first = [wish, row.defaultBackend, "A", "B"].find((backend) => servable.includes(backend as Backend))
    assert.equal(candidates[0], first, "preference, then default, then A")
    assert.equal(reasons.length, 2, "each backend is accounted for")
  })

  it("falls through to B when self-hosted is preferred and no node is there, if B is allowed", () => {
    const policy = { allowedBackends: ["A", "B"], defaultBackend: "A" } as const
    assert.deepEqual(decide(policy, "prefer_self_hosted", { A: away, B: available }).candidates, ["B"])
  })

  it("has nobody to ask when self-hosted is preferred, no node is there and B is not allowed", () => {
    const { candidates, reasons } = decide({ allowedBackends: ["A"], defaultBackend: "A" }, "prefer_self_hosted", {
      A: away,
      B: available
    })
    assert.deepEqual(candidates, [])
    assert.deepEqual(reasons, ["A cannot serve the call: it is away.", "B is not allowed for this tenant."])
  })
})

describe("BackendPolicy", () => {
  const decode = Schema.decodeUnknownExit(BackendPolicy)
  it.each([
    [{ allowedBackends: [], defaultBackend: "A" }],
    [{ allowedBackends: ["A"], defaultBackend: "B" }],
    [{ allowedBackends: ["A", "A"], defaultBackend: "A" }],
    [{ allowedBackends: ["C"], defaultBackend: "C" }]
  ])("refuses %j", (policy) => assert.equal(decode(policy)._tag, "Failure"))
})
