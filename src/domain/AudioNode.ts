/**
 * Which engine node a call goes to: what a voice needs of a node, what a node offers, and the choice between those that
 * can serve. Pure: randomness and time come in as arguments.
 */
import { Schema } from "effect"
import type { Voice } from "./Voice.ts"

/** By the age of a node's last sign of life. Healthy nodes are chosen first, warning ones as a fallback, stale ones never. */
export const NodeTier = Schema.Literals(["healthy", "warning", "stale"])
export type NodeTier = typeof NodeTier.Type

/** Nodes give a sign of life this often (the engine contract), ms. */
export const heartbeatMillis = 5_000
/** One heartbeat may be lost without consequence. */
const healthyMillisMax = 2 * heartbeatMillis
/** A node that missed six in a row is gone or cut off. */
const warningMillisMax = 6 * heartbeatMillis

export const tierOf = (ageMillis: number): NodeTier =>
  ageMillis <= healthyMillisMax ? "healthy" : ageMillis <= warningMillisMax ? "warning" : "stale"

/** How an engine follows a reference clip: not at all, in pitch and timbre, or as the speaker speaks. */
export const Cloning = Schema.Literals(["none", "fitted", "zero_shot"])
export type Cloning = typeof Cloning.Type

export interface EngineOffer {
  /** Engine kind. */
  readonly engine: string
  /** Its model can be used now. */
  readonly ready: boolean
  readonly cloning: Cloning
  readonly design: boolean
}

/** A node as the choice sees it. */
export interface NodeState {
  readonly tier: NodeTier
  /** It finishes its calls and takes no new ones. */
  readonly draining: boolean
  /** Its circuit is open: calls to it failed one after another, and no probe has succeeded since. */
  readonly tripped: boolean
  readonly engines: ReadonlyArray<EngineOffer>
  /** Calls that may run at once, that run, and that wait. */
  readonly capacity: number
  readonly active: number
  readonly queued: number
  /** Whether it holds the clip of this SHA-256 (hex). */
  readonly holds: (sha256: string) => boolean
}

/** What a call asks of a node. */
export type Need =
  | { readonly kind: "preset"; readonly engine: string }
  | { readonly kind: "cloning"; readonly sha256: string; readonly engine: string | undefined }
  | { readonly kind: "design"; readonly engine: string | undefined }
  /** Any engine at all: readiness. */
  | { readonly kind: "any"; readonly engine: string | undefined }

/**
 * Undefined: engine nodes have no speaker for the voice. `engine` is the kind that cloned and designed voices are bound
 * to; undefined takes the node's best.
 */
export const needOf = (
  voice: Pick<Voice, "preset" | "reference" | "designPrompt">,
  engine: string | undefined
): Need | undefined => {
  if (voice.preset !== null) return { kind: "preset", engine: voice.preset.engine }
  if (voice.reference !== null) return { kind: "cloning", sha256: voice.reference.sha256, engine }
  if (voice.designPrompt !== null) return { kind: "design", engine }
  return undefined
}

const cloningRank: Record<Cloning, number> = { none: 0, fitted: 1, zero_shot: 2 }

/** How well an engine serves a need: 0 = not at all. */
const rankOf = ({ cloning, design, engine, ready }: EngineOffer, need: Need): number => {
  if (!ready || (need.engine !== undefined && need.engine !== "default" && engine !== need.engine)) return 0
  switch (need.kind) {
    case "cloning":
      return cloningRank[cloning]
    case "design":
      return Number(design)
    default:
      return 1
  }
}

/** The engine of a node that serves the need best. Asked for every node at every call: nothing is allocated. */
const serving = ({ engines }: NodeState, need: Need): EngineOffer | undefined => {
  let best: EngineOffer | undefined
  let bestRank = 0
  for (const offer of engines) {
    const rank = rankOf(offer, need)
    if (rank <= bestRank) continue
    best = offer
    bestRank = rank
  }
  return best
}

/** What all nodes together can do for a need, from best to worst. */
export const NodesState = Schema.Literals([
  "healthy",
  "warning",
  "recovering",
  "draining",
  "stale",
  "unable",
  "none"
])
export type NodesState = typeof NodesState.Type

const stateOf = (node: NodeState, need: Need): NodesState =>
  serving(node, need) === undefined ? "unable" : fitness(node)

/** Of a node that has an engine for the call. */
const fitness = (node: NodeState) => {
  const { tier } = node
  return tier === "stale" ? tier : node.draining ? "draining" : node.tripped ? "recovering" : tier
}

/** Whether a call with this need may go to the node. */
export const canServe = (node: NodeState, need: Need): boolean => {
  const state = stateOf(node, need)
  return state === "healthy" || state === "warning"
}

/** The state of the best node. */
export const nodesState = (nodes: Iterable<NodeState>, need: Need): NodesState => {
  let best = NodesState.literals.indexOf("none")
  for (const node of nodes) {
    best = Math.min(best, NodesState.literals.indexOf(stateOf(node, need)))
    if (best === 0) break
  }
  return NodesState.literals[best]!
}

export interface Chosen<Node> {
  readonly node: Node
  /** The engine to ask there. */
  readonly engine: string
  /** Why this one, in words. */
  readonly reason: string
}

const isFull = ({ active, capacity }: NodeState) => active >= capacity
const load = ({ active, capacity, queued }: NodeState) => (active + queued) / Math.max(1, capacity)

/**
 * The node for a call: of those that can serve, the ones that serve best, healthy before warning; among these one that
 * holds the reference already and has room, else the less busy of two at random (Mitzenmacher, "The power of two choices
 * in randomized load balancing", 2001: within a constant of the best without everybody running to the same idle node).
 *
 * `random`: two numbers from 0 (included) to 1 (excluded).
 */
export const choose = <Node extends NodeState>(
  nodes: Iterable<Node>,
  need: Need,
  random: readonly [number, number]
): Chosen<Node> | undefined => {
  let group: Array<Node> = []
  let groupRank = 0
  for (const node of nodes) {
    const offer = serving(node, need)
    if (offer === undefined) continue
    const state = fitness(node)
    if (state !== "healthy" && state !== "warning") continue
    const rank = 2 * rankOf(offer, need) + Number(state === "healthy")
    if (rank < groupRank) continue
    if (rank > groupRank) group = []
    groupRank = rank
    group.push(node)
  }
  if (group.length === 0) return undefined
  const chosen = (node: Node, reason: string) => ({ node, engine: serving(node, need)!.engine, reason })
  if (need.kind === "cloning") {
    const holders = group.filter((node) => node.holds(need.sha256) && !isFull(node))
    if (holders.length > 0) return chosen(lessBusy(holders, random), "it holds the reference clip")
  }
  return chosen(
    lessBusy(group, random),
    group.length > 1
      ? "the less busy of two at random"
      : groupRank % 2 === 0
      ? "the only one, and its last sign of life is old"
      : "the only one ready"
  )
}

const lessBusy = <Node extends NodeState>(
  group: ReadonlyArray<Node>,
  [one, other]: readonly [number, number]
): Node => {
  if (group.length === 1) return group[0]!
  const first = Math.floor(one * group.length)
  const second = (first + 1 + Math.floor(other * (group.length - 1))) % group.length
  const [a, b] = [group[first]!, group[second]!]
  return load(a) <= load(b) ? a : b
}
