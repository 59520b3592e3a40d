/** Nodes as a process knows them: over real gRPC, with time moved by hand. */
import { describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Logger, Redacted } from "effect"
import assert from "node:assert/strict"
import type { Need } from "../../src/domain/AudioNode.ts"
import { EngineState } from "../../src/proto/scaiinfer/v1/audio.ts"
import type { GetInfoResponse } from "../../src/proto/scaiinfer/v1/audio.ts"
import { Breakers } from "../../src/services/Breakers.ts"
import { NodeDirectory } from "../../src/services/NodeDirectory.ts"
import { NodeRegistry, nodesMax } from "../../src/services/NodeRegistry.ts"
import { connect, getInfo } from "../../src/services/NodeRegistry/NodeClient.ts"
import { Redis } from "../../src/services/Redis.ts"
import * as ScriptedNode from "../layers/ScriptedNode.ts"
import { redisUrl } from "../servers/inject.ts"

const need: Need = { kind: "preset", engine: "scripted" }
const nobody = new Set<string>()

const build = (
  addresses: ReadonlyArray<string>,
  directory: Layer.Layer<NodeDirectory> = NodeDirectory.layerMemory
) =>
  Effect.flatMap(
    Layer.build(
      Layer.fresh(NodeRegistry.layer({ addresses })).pipe(
        Layer.provide(Layer.mergeAll(directory, Breakers.layerMemory({ failures: 3, openMs: 100 }))),
        Layer.provide(Logger.layer([]))
      )
    ),
    (context) => Effect.provide(NodeRegistry, context)
  )

const until = (condition: () => boolean) =>
  Effect.repeat(Effect.andThen(Effect.sleep(5), Effect.sync(condition)), { until: (met) => met }).pipe(
    Effect.timeout("8 seconds")
  )

const infoOf = (node: { readonly address: string }): Effect.Effect<GetInfoResponse> =>
  Effect.suspend(() => {
    const client = connect(node.address)
    return Effect.ensuring(Effect.orDie(getInfo(client)), Effect.sync(() => client.close()))
  })

/** The machine's clock, put forward. */
const makeShiftedClock = Effect.map(Clock.Clock, (clock) => {
  const it = { millis: 0 }
  const shifted: Clock.Clock = Object.assign(Object.create(clock), {
    currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + it.millis,
    currentTimeMillis: Effect.sync(() => clock.currentTimeMillisUnsafe() + it.millis)
  })
  return { it, shifted }
})

describe("NodeRegistry", () => {
  it.live("finds configured nodes by itself, and loses them when their connection breaks", () =>
    Effect.gen(function*() {
      const node = yield* ScriptedNode.make
      const registry = yield* build([node.address])
      assert.deepEqual(registry.availability(need), {
        available: false,
        reason: "no node with engine scripted is ready"
      })
      yield* until(() => registry.availability(need).available)
      const chosen = yield* registry.pick(need, nobody)
      assert.equal(chosen?.node.address, node.address)
      assert.equal(yield* registry.pick(need, new Set([node.address])), undefined, "asked already")
      assert.equal(registry.count(need, nobody), 1)
      yield* node.stop
      yield* until(() => registry.nodes()[0]!.tier === "stale")
      assert.deepEqual(registry.availability(need), {
        available: false,
        reason: "every node with engine scripted has gone silent"
      })
    }))

  it.live("lets a node that goes quiet grow old: a fallback after 10 s, unused after 30 s, until it is heard again", () =>
    Effect.gen(function*() {
      const { it: time, shifted } = yield* makeShiftedClock
      const node = yield* ScriptedNode.make
      yield* Effect.gen(function*() {
        const registry = yield* build([])
        const info = yield* infoOf(node)
        yield* registry.heard(node.address, info)
        const tiers = [0, 9_000, 11_000, 29_000, 31_000].map((millis) => {
          time.millis = millis
          return registry.nodes()[0]!.tier
        })
        assert.deepEqual(tiers, ["healthy", "healthy", "warning", "warning", "stale"])
        yield* registry.heard(node.address, info)
        assert.equal(registry.nodes()[0]!.tier, "healthy")
        assert.equal(registry.nodes()[0]!.source, "heartbeat")
        time.millis += 6 * 60_000
        yield* until(() => registry.nodes().length === 0)
      }).pipe(Effect.provideService(Clock.Clock, shifted))
    }))

  it.live("takes speech for a sign of life, and a refusal for none", () =>
    Effect.gen(function*() {
      const { it: time, shifted } = yield* makeShiftedClock
      const node = yield* ScriptedNode.make
      yield* Effect.gen(function*() {
        const registry = yield* build([])
        yield* registry.heard(node.address, yield* infoOf(node))
        const [known] = registry.nodes()
        const tiers = (["failure", "success", "success"] as const).map((outcome) => {
          time.millis += 25_000
          registry.note(known!, outcome)
          return known!.tier
        })
        assert.deepEqual(tiers, ["warning", "healthy", "healthy"])
      }).pipe(Effect.provideService(Clock.Clock, shifted))
    }))

  it.live("goes by what an engine says of its state", () =>
    Effect.gen(function*() {
      const node = yield* ScriptedNode.make
      const registry = yield* build([])
      const info = yield* infoOf(node)
      const engines = info.engines.map((engine) => ({ ...engine, state: EngineState.LOADING, stateReason: "model" }))
      yield* registry.heard(node.address, { ...info, engines })
      assert.equal(registry.availability(need).available, false)
      yield* registry.heard(node.address, info)
      assert.equal(registry.availability(need).available, true)
      yield* registry.heard(node.address, { ...info, draining: true })
      assert.deepEqual(registry.availability(need), {
        available: false,
        reason: "every node with engine scripted is draining"
      })
    }))

  it.live("takes no more nodes than it can hold, and goes on with those that it has", () =>
    Effect.gen(function*() {
      const node = yield* ScriptedNode.make
      const registry = yield* build([])
      const info = yield* infoOf(node)
      yield* registry.heard(node.address, info)
      // Nobody listens there.
      const nowhere = Array.from({ length: nodesMax + 50 }, (_, i) => `127.0.1.${i % 250}:${1 + Math.floor(i / 250)}`)
      yield* Effect.forEach(nowhere, (address) => registry.heard(address, info), { concurrency: 64, discard: true })
      assert.equal(registry.nodes().length, nodesMax)
      yield* registry.heard(node.address, info)
      assert.equal((yield* registry.pick(need, nobody))?.node.address, node.address)
    }).pipe(Effect.provide(Logger.layer([]))))

  it.live("keeps calls away from a node that fails, until it speaks to a probe again", () =>
    Effect.gen(function*() {
      const node = yield* ScriptedNode.make
      const registry = yield* build([node.address])
      yield* until(() => registry.availability(need).available)
      const before = node.requests.length
      for (let i = 0; i < 3; i++) registry.note(registry.nodes()[0]!, "failure")
      yield* until(() => registry.nodes()[0]!.tripped)
      assert.deepEqual(registry.availability(need), {
        available: false,
        reason: "every node with engine scripted is recovering from failures"
      })
      yield* until(() => registry.availability(need).available)
      assert.ok(node.requests.slice(before).some(({ requestId }) => requestId === "probe"))
      yield* until(() => node.open() === 0)
    }))

  it.live("learns within seconds of nodes that another process has heard", () =>
    Effect.gen(function*() {
      const url = yield* Effect.promise(redisUrl)
      const own = () => build([], NodeDirectory.layerRedis.pipe(Layer.provide(Redis.layer(Redacted.make(url)))))
      const [one, other] = [yield* own(), yield* own()]
      const node = yield* ScriptedNode.make
      yield* one.heard(node.address, yield* infoOf(node))
      assert.equal(one.availability(need).available, true)
      yield* until(() => other.availability(need).available)
      assert.equal((yield* other.pick(need, nobody))?.node.address, node.address)
    }))
})
