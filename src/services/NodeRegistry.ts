/**
 * The engine nodes that this process knows: polled for what they can do and how busy they are, and chosen from.
 *
 * A node that does not answer its poll is away until it answers again; a draining node takes no new calls.
 */
import { credentials, Metadata } from "@grpc/grpc-js"
import type { ServiceError } from "@grpc/grpc-js"
import { Clock, Context, Effect, Layer, PubSub, Random, Stream } from "effect"
import type { Scope } from "effect"
import type { Availability } from "../domain/BackendPolicy.ts"
import { BackendUnavailable } from "../domain/Failure.ts"
import type { GetInfoResponse, PresetVoice } from "../proto/scaiinfer/v1/audio.ts"
import { AudioServiceClient } from "../proto/scaiinfer/v1/audio.ts"

/** A node is asked this often; it counts as away when the answer takes longer than {@link pollTimeoutMillis}. */
const pollMillis = 2000
const pollTimeoutMillis = 1000
/** Until a node has answered once it is asked this often, so that a start is not held up by the poll. */
const firstPollMillis = 50

export interface AudioNode {
  readonly address: string
  readonly client: AudioServiceClient
  /** As last reported; undefined while the node is away. */
  info: GetInfoResponse | undefined
  /** Calls of this process that run there now. */
  active: number
}

export class NodeRegistry extends Context.Service<NodeRegistry, {
  /** Polls a node for as long as the scope is open. */
  readonly watch: (address: string) => Effect.Effect<void, never, Scope.Scope>
  /** The less busy of two random ready nodes with this engine. */
  readonly resolve: (engine: string) => Effect.Effect<AudioNode, BackendUnavailable>
  /** Whether `resolve` would find a node, and if not, why. */
  readonly availability: (engine: string) => Availability
  readonly nodes: () => ReadonlyArray<AudioNode>
  /** Preset voices of a node, each time one becomes ready; the ones known so far first. */
  readonly presets: Stream.Stream<ReadonlyArray<PresetVoice>>
}>()("scaispeak/NodeRegistry") {
  static readonly layer = (options: { readonly addresses: ReadonlyArray<string> }) =>
    Layer.effect(
      NodeRegistry,
      Effect.gen(function*() {
        const nodes = new Map<string, AudioNode>()
        const presets = yield* PubSub.sliding<ReadonlyArray<PresetVoice>>({ capacity: 64, replay: 64 })

        const watch = Effect.fnUntraced(function*(address: string) {
          const node = yield* Effect.acquireRelease(
            Effect.sync(() => {
              const node: AudioNode = { address, client: connect(address), info: undefined, active: 0 }
              nodes.set(address, node)
              return node
            }),
            (node) =>
              Effect.sync(() => {
                nodes.delete(address)
                node.client.close()
              })
          )
          const poll = Effect.gen(function*() {
            const before = node.info
            node.info = yield* getInfo(node.client)
            if (before === undefined) {
              yield* Effect.logInfo("node ready", { node: node.info.nodeId, address })
              yield* PubSub.publish(presets, yield* listVoices(node.client))
            }
          }).pipe(
            Effect.catch((error) => {
              const wasReady = node.info !== undefined
              node.info = undefined
              return wasReady ? Effect.logWarning("node away", { address, reason: error.details }) : Effect.void
            }),
            Effect.andThen(Effect.suspend(() => Effect.sleep(node.info === undefined ? firstPollMillis : pollMillis)))
          )
          yield* Effect.forkScoped(Effect.forever(poll))
        })

        const ready = (engine: string) =>
          [...nodes.values()].filter(({ info }) => info !== undefined && !info.draining && hasEngine(info, engine))

        const availability = (engine: string): Availability => {
          if (ready(engine).length > 0) return { available: true }
          if (nodes.size === 0) return { available: false, reason: "no node is known" }
          return { available: false, reason: `no node with engine ${engine} is ready` }
        }

        const resolve = Effect.fnUntraced(function*(engine: string) {
          const found = ready(engine)
          if (found.length === 0) {
            const state = availability(engine)
            return yield* new BackendUnavailable({ reasons: state.available ? [] : [state.reason] })
          }
          if (found.length === 1) return found[0]!
          const first = yield* Random.nextIntBetween(0, found.length)
          const second = (first + 1 + (yield* Random.nextIntBetween(0, found.length - 1))) % found.length
          const [a, b] = [found[first]!, found[second]!]
          return load(a) <= load(b) ? a : b
        })

        yield* Effect.forEach(options.addresses, watch, { discard: true })
        return NodeRegistry.of({
          watch,
          resolve,
          availability,
          nodes: () => [...nodes.values()],
          presets: Stream.fromPubSub(presets)
        })
      })
    )
}

const hasEngine = (info: GetInfoResponse, engine: string) =>
  engine === "default" ? info.engines.length > 0 : info.engines.some((loaded) => loaded.engine === engine)

/** Share of the node's capacity in use, by its own report or by what this process runs there, whichever is more. */
const load = ({ active, info }: AudioNode) =>
  Math.max(active, info?.load?.active ?? 0) / Math.max(1, info?.load?.capacity ?? 1)

const connect = (address: string) =>
  new AudioServiceClient(address, credentials.createInsecure(), {
    // A dead peer is noticed between calls too, and a node that restarts is found again within a second.
    "grpc.keepalive_time_ms": 20_000,
    "grpc.keepalive_timeout_ms": 5_000,
    "grpc.max_reconnect_backoff_ms": 1_000,
    "grpc.initial_reconnect_backoff_ms": 100,
    // One window holds a long sentence, so that a node never waits for the gateway's acknowledgement inside one.
    "grpc-node.flow_control_window": 1 << 20
  })

const unary = <A>(
  send: (metadata: Metadata, deadline: { deadline: number }, done: (error: ServiceError | null, value: A) => void) => {
    cancel: () => void
  }
) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Effect.callback<A, ServiceError>((resume) => {
      const call = send(
        new Metadata(),
        { deadline: now + pollTimeoutMillis },
        (error, value) => resume(error ? Effect.fail(error) : Effect.succeed(value))
      )
      return Effect.sync(() => call.cancel())
    }))

const getInfo = (client: AudioServiceClient) =>
  unary<GetInfoResponse>((metadata, deadline, done) => client.getInfo({}, metadata, deadline, done))

const listVoices = (client: AudioServiceClient) =>
  Effect.map(
    unary<{ voices: ReadonlyArray<PresetVoice> }>((metadata, deadline, done) =>
      client.listVoices({}, metadata, deadline, done)
    ),
    ({ voices }) => voices
  )
