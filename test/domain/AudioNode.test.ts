import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { choose, needOf, NodesState, nodesState, tierOf } from "../../src/domain/AudioNode.ts"
import type { EngineOffer, Need, NodeState } from "../../src/domain/AudioNode.ts"
import { scripted, voice } from "../layers/voices.ts"

const flite: EngineOffer = { engine: "flite", ready: true, cloning: "fitted", design: true }
const sherpa: EngineOffer = { engine: "sherpa", ready: true, cloning: "zero_shot", design: false }
const clip = "ab".repeat(32)

const node = (name: string, fields: Partial<NodeState> & { readonly held?: string } = {}) => ({
  name,
  tier: "healthy" as const,
  draining: false,
  tripped: false,
  engines: [flite],
  capacity: 10,
  active: 0,
  queued: 0,
  holds: (sha256: string) => sha256 === fields.held,
  ...fields
})

const preset: Need = { kind: "preset", engine: "flite" }
const cloning: Need = { kind: "cloning", sha256: clip, engine: "default" }
const design: Need = { kind: "design", engine: undefined }

/** The names that are chosen over all dice. */
const chosen = (nodes: ReadonlyArray<ReturnType<typeof node>>, need: Need): ReadonlyArray<string> => {
  const names = new Set<string>()
  for (let one = 0; one < 1; one += 0.07) {
    for (let other = 0; other < 1; other += 0.07) {
      const found = choose(nodes, need, [one, other])
      if (found !== undefined) names.add(`${found.node.name} ${found.engine}`)
    }
  }
  return [...names].sort()
}

describe("tierOf", () => {
  it.each([
    [0, "healthy"],
    [10_000, "healthy"],
    [10_001, "warning"],
    [30_000, "warning"],
    [30_001, "stale"]
  ])("a last sign of life %i ms ago is %s", (age, tier) => assert.equal(tierOf(age), tier))
})

describe("needOf", () => {
  const reference = { sha256: clip, durationMs: 5000, objectKey: "k", transcript: null }
  it.each([
    ["a preset", scripted("say"), { kind: "preset", engine: "scripted" }],
    ["a cloned voice", voice({ reference }), { kind: "cloning", sha256: clip, engine: "sherpa" }],
    ["a designed voice", voice({ designPrompt: "a deep voice" }), { kind: "design", engine: "sherpa" }],
    ["a speaker of the relay", voice({ relaySpeaker: "alloy" }), undefined]
  ])("%s", (_, voice, need) => assert.deepEqual(needOf(voice, "sherpa"), need))
})

describe("choose", () => {
  it.each<[string, ReadonlyArray<ReturnType<typeof node>>, Need, ReadonlyArray<string>]>([
    ["nobody where nobody is", [], preset, []],
    ["healthy before warning", [node("old", { tier: "warning" }), node("new")], preset, ["new flite"]],
    ["warning as a fallback", [node("old", { tier: "warning" })], preset, ["old flite"]],
    ["never a stale one", [node("gone", { tier: "stale" })], preset, []],
    ["never a draining one", [node("leaving", { draining: true })], preset, []],
    ["never a tripped one", [node("broken", { tripped: true }), node("whole")], preset, ["whole flite"]],
    ["only who has the engine", [node("other", { engines: [sherpa] })], preset, []],
    ["only an engine that is ready", [node("loading", { engines: [{ ...flite, ready: false }] })], preset, []],
    ["who designs", [node("a", { engines: [sherpa] }), node("b")], design, ["b flite"]],
    ["zero-shot before fitted", [node("a"), node("b", { engines: [flite, sherpa] })], cloning, ["b sherpa"]],
    [
      "zero-shot before fitted, even on an older node",
      [node("a"), node("b", { engines: [sherpa], tier: "warning" })],
      cloning,
      ["b sherpa"]
    ],
    [
      "the engine that cloned voices are bound to",
      [node("a"), node("b", { engines: [sherpa] })],
      { ...cloning, engine: "flite" },
      ["a flite"]
    ],
    ["who holds the reference", [node("a"), node("b", { held: clip, active: 9 }), node("c")], cloning, ["b flite"]],
    [
      "somebody else when who holds the reference is full",
      [node("a"), node("b", { held: clip, active: 10 })],
      cloning,
      ["a flite"]
    ],
    ["the less busy of two", [node("a", { active: 3 }), node("b", { active: 2, capacity: 5 })], preset, ["a flite"]],
    ["by the queue too", [node("a", { queued: 5 }), node("b", { active: 4 })], preset, ["b flite"]],
    ["never the busiest of three", [node("a"), node("b", { active: 1 }), node("c", { active: 9 })], preset, [
      "a flite",
      "b flite"
    ]]
  ])("%s", (_, nodes, need, names) => assert.deepEqual(chosen(nodes, need), names))

  it("spreads calls over equals", () => {
    const nodes = ["a", "b", "c", "d"].map((name) => node(name))
    assert.deepEqual(chosen(nodes, preset), nodes.map(({ name }) => `${name} flite`))
  })

  it("says why", () => {
    const reason = (nodes: ReadonlyArray<ReturnType<typeof node>>, need: Need) => choose(nodes, need, [0, 0])?.reason
    assert.equal(reason([node("a")], preset), "the only one ready")
    assert.equal(reason([node("a", { tier: "warning" })], preset), "the only one, and its last sign of life is old")
    assert.equal(reason([node("a"), node("b")], preset), "the less busy of two at random")
    assert.equal(reason([node("a", { held: clip })], cloning), "it holds the reference clip")
  })
})

describe("nodesState", () => {
  const of: Record<NodesState, ReadonlyArray<ReturnType<typeof node>>> = {
    healthy: [node("a")],
    warning: [node("a", { tier: "warning" })],
    recovering: [node("a", { tripped: true })],
    draining: [node("a", { draining: true })],
    stale: [node("a", { tier: "stale" })],
    unable: [node("a", { engines: [sherpa] })],
    none: []
  }
  it.each(NodesState.literals)("is %s, whatever worse nodes there are", (state) => {
    const worse = NodesState.literals.slice(NodesState.literals.indexOf(state))
    assert.equal(nodesState(worse.flatMap((other) => of[other]), preset), state)
  })
})
