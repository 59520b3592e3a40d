/**
 * The engine nodes that this process knows, and the choice between them.
 *
 * Nodes named in the configuration are polled; others announce themselves by heartbeat, here or at another process of the
 * service. A node's tier follows the age of its last sign of life, a report or speech; one whose connection breaks is stale
 * at once. A node that fails call after call gets none until its probe has succeeded.
 */
import { status } from "@grpc/grpc-js"
import type { ServiceError } from "@grpc/grpc-js"
import { Clock, Context, Effect, Exit, Layer, Metric, PubSub, Random, Scope, Stream } from "effect"
import { canServe, choose, nodesState, NodeTier } from "../domain/AudioNode.ts"
import type { Chosen, Need } from "../domain/AudioNode.ts"
import { availabilityOfNodes } from "../domain/BackendPolicy.ts"
import type { Availability } from "../domain/BackendPolicy.ts"
import type { GetInfoResponse, PresetVoice } from "../proto/scaiinfer/v1/audio.ts"
import { Breakers } from "./Breakers.ts"
import type { Outcome } from "./Breakers.ts"
import { NodeDirectory } from "./NodeDirectory.ts"
import { AudioNode } from "./NodeRegistry/AudioNode.ts"
import { connect, getInfo, listVoices, probe } from "./NodeRegistry/NodeClient.ts"

/** A configured node is asked this often, ms. */
const pollMillis = 2000
/** Until a node has answered once it is asked this often, so that a start is not held up by the poll; ms. */
const firstPollMillis = 50
/** One that was there and went away, ms. */
const lostPollMillis = 500
/** Far more nodes than a process could keep busy: who announces without end fills no memory. */
export const nodesMax = 1024
/** How soon a process learns of nodes that have announced themselves to another one. */
const directoryEvery = "2 seconds"

const nodesGauge = Metric.gauge("scaispeak_nodes", { description: "Engine nodes known, by tier" })
const nodesBy = {
  healthy: Metric.withAttributes(nodesGauge, { tier: "healthy" }),
  warning: Metric.withAttributes(nodesGauge, { tier: "warning" }),
  stale: Metric.withAttributes(nodesGauge, { tier: "stale" })
}

export class NodeRegistry extends Context.Service<NodeRegistry, {
  /** Polls a node for as long as the scope is open. */
  readonly watch: (address: string) => Effect.Effect<void, never, Scope.Scope>
  /** A node has announced itself to this process. Beyond {@link nodesMax} nodes a new one is not taken. */
  readonly heard: (address: string, info: GetInfoResponse) => Effect.Effect<void>
  /** The node for a call, none of those tried before; undefined when none is left. */
  readonly pick: (need: Need, tried: ReadonlySet<string>) => Effect.Effect<Chosen<AudioNode> | undefined>
  /** Whether `pick` would find one, and if not, why. */
  readonly availability: (need: Need | undefined, tried?: ReadonlySet<string>) => Availability
  /** Nodes that `pick` would choose from. */
  readonly count: (need: Need, tried: ReadonlySet<string>) => number
  /** The connection to the node broke: it is stale until it is heard again. */
  readonly lost: (node: AudioNode, reason: string) => Effect.Effect<void>
  /** How a call to the node ended. */
  readonly note: (node: AudioNode, outcome: Outcome) => void
  readonly nodes: () => ReadonlyArray<AudioNode>
  /** Preset voices of a node, each time they change; the ones known so far first. */
  readonly presets: Stream.Stream<ReadonlyArray<PresetVoice>>
}>()("scaispeak/NodeRegistry") {
  static readonly layer = (options: { readonly addresses: ReadonlyArray<string> }) =>
    Layer.effect(
      NodeRegistry,
      Effect.gen(function*() {
        const breakers = yield* Breakers
        const directory = yield* NodeDirectory
        const clock = yield* Clock.Clock
        const registryScope = yield* Effect.scope
        const nodes = new Map<string, { readonly node: AudioNode; readonly scope: Scope.Closeable }>()
        const presets = yield* PubSub.sliding<ReadonlyArray<PresetVoice>>({ capacity: 64, replay: 64 })

        /** The node of that address, met now or before. */
        const meet = Effect.fnUntraced(function*(address: string, source: AudioNode["source"]) {
          const known = nodes.get(address)
          if (known !== undefined) return known.node
          const scope = yield* Scope.fork(registryScope)
          const key = keyOf(address)
          const node = new AudioNode({
            address,
            client: connect(address),
            source,
            clock,
            isOpen: () => breakers.isOpen(key)
          })
          nodes.set(address, { node, scope })
          yield* Scope.addFinalizer(
            scope,
            Effect.sync(() => {
              nodes.delete(address)
              node.client.close()
            })
          )
          yield* Scope.provide(
            breakers.watch(key, Effect.suspend(() => probe(node.client, node.presets[0]))),
            scope
          )
          return node
        })
        const forget = (address: string) =>
          Effect.suspend(() => {
            const known = nodes.get(address)
            return known === undefined ? Effect.void : Scope.close(known.scope, Exit.void)
          })

        /** Takes a report; when it brings other engines than before, the voices are asked for too. */
        const hear = Effect.fnUntraced(function*(node: AudioNode, info: GetInfoResponse, ageMillis: number) {
          const wasAway = node.tier === "stale"
          node.hear(info, ageMillis)
          if (node.tier === "stale") return
          if (wasAway) yield* Effect.logInfo("node ready", { node: node.name, address: node.address })
          const now = signature(node)
          if (!wasAway && now === node.listedAs) return
          node.presets = yield* listVoices(node.client)
          node.listedAs = now
          yield* PubSub.publish(presets, node.presets)
        })

        const lost = (node: AudioNode, reason: string) =>
          Effect.suspend(() => {
            if (node.tier === "stale") return Effect.void
            node.lost = true
            return Effect.logWarning("node away", { address: node.address, reason })
          })
        // One that is merely slow to answer grows old instead.
        const unanswered = (node: AudioNode, error: ServiceError) =>
          error.code === status.UNAVAILABLE ? lost(node, error.details) : Effect.void

        const watch = Effect.fnUntraced(function*(address: string) {
          const node = yield* meet(address, "configured")
          yield* Effect.addFinalizer(() => forget(address))
          const poll = getInfo(node.client).pipe(
            Effect.flatMap((info) => hear(node, info, 0)),
            Effect.catch((error) => unanswered(node, error)),
            Effect.andThen(
              Effect.suspend(() =>
                Effect.sleep(node.info === undefined ? firstPollMillis : node.lost ? lostPollMillis : pollMillis)
              )
            )
          )
          yield* Effect.forkScoped(Effect.forever(poll))
        })

        const isOneTooMany = (address: string) => !nodes.has(address) && nodes.size >= nodesMax
        const take = Effect.fnUntraced(function*(address: string, info: GetInfoResponse, ageMillis: number) {
          if (isOneTooMany(address)) return
          const node = yield* meet(address, "heartbeat")
          yield* Effect.catch(hear(node, info, ageMillis), (error) => unanswered(node, error))
        })
        const heard = Effect.fnUntraced(function*(address: string, info: GetInfoResponse) {
          if (isOneTooMany(address)) return yield* Effect.logWarning("one node too many", { address })
          // Others learn of it later when the directory is away; this process goes by what it hears itself.
          yield* Effect.ignore(directory.announce(address, info))
          yield* take(address, info, 0)
        })
        const readDirectory = Effect.gen(function*() {
          const list = yield* directory.list
          yield* Effect.forEach(list, ({ address, ageMillis, info }) => take(address, info, ageMillis), {
            concurrency: "unbounded",
            discard: true
          })
          const listed = new Set(list.map(({ address }) => address))
          for (const { node } of nodes.values()) {
            if (node.source === "heartbeat" && !listed.has(node.address) && node.tier === "stale") {
              yield* forget(node.address)
            }
          }
        }).pipe(
          Effect.ignore,
          Effect.andThen(
            Effect.suspend(() =>
              Effect.forEach(NodeTier.literals, (tier) =>
                Metric.update(
                  nodesBy[tier],
                  [...nodes.values()].filter(({ node }) => node.tier === tier).length
                ), {
                discard: true
              })
            )
          )
        )
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(readDirectory, Effect.sleep(directoryEvery))))

        const untried = (tried: ReadonlySet<string>) => {
          const left: Array<AudioNode> = []
          for (const { node } of nodes.values()) if (!tried.has(node.address)) left.push(node)
          return left
        }

        yield* Effect.forEach(options.addresses, watch, { discard: true })
        return NodeRegistry.of({
          watch,
          heard,
          pick: (need, tried) =>
            Effect.map(Random.Random, (random) =>
              choose(untried(tried), need, [random.nextDoubleUnsafe(), random.nextDoubleUnsafe()])),
          availability: (need, tried = nobody) =>
            availabilityOfNodes(need, need === undefined ? "none" : nodesState(untried(tried), need)),
          count: (need, tried) => {
            let count = 0
            for (const { node } of nodes.values()) {
              if (!tried.has(node.address) && canServe(node, need)) {
                count++
              }
            }
            return count
          },
          lost,
          note: (node, outcome) => {
            if (outcome === "success") {
              node.spoke()
            }
            breakers.note(keyOf(node.address), outcome)
          },
          nodes: () =>
            Array.from(nodes.values(), ({ node }) => node),
          presets: Stream.fromPubSub(presets)
        })
      })
    )
}

const nobody: ReadonlySet<string> = new Set()
const keyOf = (address: string) => `node:${address}`

/** Changes when the node is another one or its engines come, go, or get ready. */
const signature = ({ engines, info }: AudioNode): string =>
  JSON.stringify([info?.nodeId, engines.map(({ engine, ready }) => [engine, ready])])
