import { describe, it } from "@effect/vitest"
import { Schema } from "effect"
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import type { Need } from "../../src/domain/AudioNode.ts"
import { NodesState } from "../../src/domain/AudioNode.ts"
import {
  availabilityOfNodes,
  availabilityOfRelay,
  BackendPolicy,
  BackendPreference,
  decide,
  RelayState
} from "../../src/domain/BackendPolicy.ts"
import type { Availability, Backend } from "../../src/domain/BackendPolicy.ts"

const policies: ReadonlyArray<BackendPolicy> = [
  { allowedBackends: ["A", "B"], defaultBackend: "A" },
  { allowedBackends: ["A", "B"], defaultBackend: "B" },
  { allowedBackends: ["A"], defaultBackend: "A" },
  { allowedBackends: ["B"], defaultBackend: "B" }
]

/** How a voice can be spoken on nodes. */
const needs: Record<string, Need | undefined> = {
  preset: { kind: "preset", engine: "flite" },
  cloned: { kind: "cloning", sha256: "ab".repeat(32), engine: "default" },
  designed: { kind: "design", engine: "default" },
  "no speaker": undefined
}

/** Every policy × preference × state of A × state of B × what the voice has on A and on B. */
const cases = policies.flatMap((policy) =>
  BackendPreference.literals.flatMap((preference) =>
    NodesState.literals.flatMap((nodes) =>
      RelayState.literals.flatMap((relay) =>
        Object.keys(needs).flatMap((onA) =>
          [true, false].map((onB) => ({ policy, preference, nodes, relay, onA, onB }))
        )
      )
    )
  )
)

describe("decide", () => {
  it(`holds what the contract says in words, in all ${cases.length} cases`, () => {
    assert.equal(cases.length, 4 * 3 * 7 * 3 * 4 * 2)
    for (const { nodes, onA, onB, policy, preference, relay } of cases) {
      const { candidates, reasons } = decide(policy, preference, {
        A: availabilityOfNodes(needs[onA], nodes),
        B: availabilityOfRelay(onB, relay)
      })
      const label = JSON.stringify({ policy, preference, nodes, relay, onA, onB })
      const serves: Record<Backend, boolean> = {
        A: onA !== "no speaker" && (nodes === "healthy" || nodes === "warning"),
        B: onB && relay === "ready"
      }
      const servable = policy.allowedBackends.filter((backend) => serves[backend])
      assert.deepEqual([...candidates].sort(), [...servable].sort(), `what may and can, no more and no less: ${label}`)
      const wish = { any: policy.defaultBackend, prefer_self_hosted: "A", prefer_relay: "B" }[preference]
      const order = [wish, policy.defaultBackend, "A", "B"]
      assert.equal(candidates[0], order.find((backend) => servable.includes(backend as Backend)), label)
      assert.equal(reasons.length, 2, `each backend is accounted for: ${label}`)
      assert.equal(
        reasons.filter((reason) => reason.endsWith("is chosen.")).length,
        Math.min(1, servable.length),
        label
      )
    }
  })

  const nobody = availabilityOfNodes(needs["preset"], "unable")
  const ready = availabilityOfRelay(true, "ready")

  it("falls through to B when self-hosted is preferred and no A node has the engine loaded, if B is in the allowed set", () => {
    assert.deepEqual(decide(policies[0]!, "prefer_self_hosted", { A: nobody, B: ready }).candidates, ["B"])
  })

  it("has nobody to ask when self-hosted is preferred, no A node has the engine loaded and B isn't allowed", () => {
    assert.deepEqual(decide(policies[2]!, "prefer_self_hosted", { A: nobody, B: ready }), {
      candidates: [],
      reasons: ["A cannot serve the call: no node with engine flite is ready.", "B is not allowed for this tenant."]
    })
  })
})

const tick = (availability: Availability) => (availability.available ? "yes" : availability.reason)

const availabilityTable = () => [
  "| A: nodes | " + Object.keys(needs).join(" | ") + " |",
  "|---|" + "---|".repeat(Object.keys(needs).length),
  ...NodesState.literals.map((state) =>
    `| ${state} | ${Object.values(needs).map((need) => tick(availabilityOfNodes(need, state))).join(" | ")} |`
  ),
  "",
  "| B: relay | voice with a speaker there | without |",
  "|---|---|---|",
  ...RelayState.literals.map((state) =>
    `| ${state} | ${tick(availabilityOfRelay(true, state))} | ${tick(availabilityOfRelay(false, state))} |`
  )
]

const can: Availability = { available: true }
const cannot: Availability = { available: false, reason: "it is away" }
const decisionTable = () => [
  "| allowed | default | preference | A and B can | only A can | only B can | neither can |",
  "|---|---|---|---|---|---|---|",
  ...policies.flatMap((policy) =>
    BackendPreference.literals.map((preference) => {
      const cells = [[can, can], [can, cannot], [cannot, can], [cannot, cannot]].map(([A, B]) =>
        decide(policy, preference, { A: A!, B: B! }).candidates.join(" → ") || "502"
      )
      return `| ${policy.allowedBackends.join(", ")} | ${policy.defaultBackend} | \`${preference}\` | ${
        cells.join(" | ")
      } |`
    })
  )
]

describe("docs/routing.md", () => {
  it("shows the tables as they are", () => {
    const file = new URL("../../docs/routing.md", import.meta.url)
    const text = readFileSync(file, "utf8")
    const printed = Object.entries({ availability: availabilityTable(), decision: decisionTable() }).reduce(
      (text, [name, lines]) =>
        text.replace(
          new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`, "u"),
          (_, before, after) => `${before}\n${lines.join("\n")}\n\n${after}`
        ),
      text
    )
    if (process.env.UPDATE_DOCS) writeFileSync(file, printed)
    else {assert.equal(
        text,
        printed,
        "UPDATE_DOCS=1 npx vitest run test/domain/BackendPolicy.test.ts brings it up to date"
      )}
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
