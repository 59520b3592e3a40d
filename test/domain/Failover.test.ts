import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { blame, nextBackend, waitOf } from "../../src/domain/Failover.ts"
import type { Tried } from "../../src/domain/Failover.ts"
import { BackendFailed, BackendSaturated, BackendTimeout, BackendUnavailable } from "../../src/domain/Failure.ts"
import type { DispatchFailure } from "../../src/domain/Failure.ts"

const failures = {
  full: (backend: "A" | "B", retryAfter = 1) => new BackendSaturated({ backend, retryAfter }),
  broken: (backend: "A" | "B") => new BackendFailed({ backend, cause: new Error("broken") }),
  silent: (backend: "A" | "B") => new BackendTimeout({ backend, waitedMs: 1 }),
  gone: () => new BackendUnavailable({ reasons: [] })
}
type Kind = keyof typeof failures

const tried = (...kinds: ReadonlyArray<readonly ["A" | "B", Kind]>): ReadonlyArray<Tried> =>
  kinds.map(([backend, kind]): Tried => ({ backend, failure: failures[kind](backend) as DispatchFailure }))

describe("nextBackend", () => {
  it.each<[string, ReadonlyArray<"A" | "B">, ReadonlyArray<Tried>, number, "A" | "B" | undefined]>([
    ["the best first", ["A", "B"], [], 2, "A"],
    ["another node when one is full", ["A", "B"], tried(["A", "full"]), 1, "A"],
    ["node after node while they are full", ["A"], tried(["A", "full"], ["A", "full"], ["A", "full"]), 1, "A"],
    ["B when every node is full", ["A", "B"], tried(["A", "full"], ["A", "full"]), 0, "B"],
    ["another node when one broke", ["A", "B"], tried(["A", "broken"]), 3, "A"],
    ["one other node, not two", ["A", "B"], tried(["A", "broken"], ["A", "silent"]), 3, "B"],
    ["nodes that are full do not count as tries", ["A", "B"], tried(["A", "full"], ["A", "broken"]), 3, "A"],
    ["B when there is no other node", ["A", "B"], tried(["A", "silent"]), 0, "B"],
    ["A when B is preferred and broke", ["B", "A"], tried(["B", "broken"]), 2, "A"],
    ["another node then too", ["B", "A"], tried(["B", "broken"], ["A", "gone"]), 1, "A"],
    ["nobody after everybody", ["A", "B"], tried(["A", "broken"], ["B", "broken"]), 0, undefined],
    ["never a backend that is no candidate", ["A"], tried(["A", "broken"], ["A", "broken"]), 5, undefined],
    ["the relay once", ["B"], tried(["B", "full"]), 5, undefined]
  ])("%s", (_, candidates, tries, otherNodes, next) => assert.equal(nextBackend(candidates, tries, otherNodes), next))

  it("ends, whatever fails", () => {
    for (const kind of Object.keys(failures) as ReadonlyArray<Kind>) {
      const tries: Array<Tried> = []
      for (let nodes = 5;;) {
        const backend = nextBackend(["A", "B"], tries, nodes)
        if (backend === undefined) break
        if (backend === "A") nodes--
        tries.push(...tried([backend, kind]))
        assert.ok(tries.length <= 6)
      }
    }
  })
})

describe("waitOf", () => {
  it("leaves half of the time to those who may take over", () => {
    assert.equal(waitOf(10_000, false), 5_000)
    assert.equal(waitOf(10_000, true), 10_000)
    assert.equal(waitOf(0, false), 1)
  })
})

describe("blame", () => {
  const code = (...kinds: ReadonlyArray<readonly ["A" | "B", Kind]>) =>
    blame(tried(...kinds) as [Tried, ...Array<Tried>]).code
  it("says that all are full when that is what stood in the way", () => {
    assert.equal(code(["A", "full"], ["B", "full"]), "SCAISPEAK_BACKEND_SATURATED")
    assert.equal(code(["A", "full"], ["B", "gone"]), "SCAISPEAK_BACKEND_SATURATED")
    const failure = blame([
      { backend: "A", failure: failures.full("A", 9) },
      { backend: "B", failure: failures.full("B", 4) }
    ])
    assert.equal("retryAfter" in failure && failure.retryAfter, 4, "the soonest of them")
  })
  it("tells the last failure otherwise", () => {
    assert.equal(code(["A", "broken"]), "SCAISPEAK_BACKEND_FAILED")
    assert.equal(code(["A", "full"], ["A", "broken"], ["B", "silent"]), "SCAISPEAK_BACKEND_TIMEOUT")
    assert.equal(code(["A", "gone"]), "SCAISPEAK_BACKEND_UNAVAILABLE")
  })
})
