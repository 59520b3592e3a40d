/** One suite for the registry in memory and in Redis. */
import { it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { VoiceId } from "../../src/domain/Ids.ts"
import { Redis } from "../../src/services/Redis.ts"
import { VoiceWarmRegistry } from "../../src/services/VoiceWarmRegistry.ts"
import { redisUrl } from "../servers/inject.ts"

const redis = Layer.unwrap(Effect.map(Effect.promise(redisUrl), (url) => Redis.layer(Redacted.make(url))))

const registries = {
  memory: VoiceWarmRegistry.layer({ ttl: "1 minute" }),
  Redis: VoiceWarmRegistry.layer({ ttl: "1 minute" }).pipe(Layer.provideMerge(redis))
}

let voices = 0
const freshVoice = () => VoiceId.make(`vox_test_${voices++}`)

for (const [name, registry] of Object.entries(registries)) {
  layer(registry)(`VoiceWarmRegistry: ${name}`, (it) => {
    it.effect("names the nodes that were marked, newest first", () =>
      Effect.gen(function*() {
        const registry = yield* VoiceWarmRegistry
        const [voice, other] = [freshVoice(), freshVoice()]
        yield* registry.mark(voice, "node-a", 1_000)
        yield* registry.mark(voice, "node-c", 3_000)
        yield* registry.mark(voice, "node-b", 2_000)
        yield* registry.mark(other, "node-d", 2_000)
        assert.deepEqual(yield* registry.warmNodes(voice, 2_000), [
          { nodeId: "node-c", atMillis: 3_000 },
          { nodeId: "node-b", atMillis: 2_000 }
        ])
        assert.equal((yield* registry.warmNodes(voice, 0)).length, 3)
        assert.deepEqual(yield* registry.warmNodes(voice, 3_001), [])
        assert.deepEqual(yield* registry.warmNodes(freshVoice(), 0), [])
      }))

    it.effect("moves a node forward in time, never back", () =>
      Effect.gen(function*() {
        const registry = yield* VoiceWarmRegistry
        const voice = freshVoice()
        for (const at of [2_000, 5_000, 3_000]) yield* registry.mark(voice, "node-a", at)
        yield* registry.mark(voice, "node-b", 5_000)
        assert.deepEqual(yield* registry.warmNodes(voice, 0), [
          { nodeId: "node-b", atMillis: 5_000 },
          { nodeId: "node-a", atMillis: 5_000 }
        ])
      }))

    it.effect("evicts one node or all, and says how many", () =>
      Effect.gen(function*() {
        const registry = yield* VoiceWarmRegistry
        const voice = freshVoice()
        for (const node of ["node-a", "node-b", "node-c"]) yield* registry.mark(voice, node, 1_000)
        assert.equal(yield* registry.evict(voice, "node-b"), 1)
        assert.equal(yield* registry.evict(voice, "node-b"), 0)
        assert.deepEqual((yield* registry.warmNodes(voice, 0)).map(({ nodeId }) => nodeId), ["node-c", "node-a"])
        assert.equal(yield* registry.evict(voice), 2)
        assert.equal(yield* registry.evict(voice), 0)
        assert.deepEqual(yield* registry.warmNodes(voice, 0), [])
      }))

    it.effect("drops a voice", () =>
      Effect.gen(function*() {
        const registry = yield* VoiceWarmRegistry
        const voice = freshVoice()
        yield* registry.mark(voice, "node-a", 1_000)
        yield* registry.drop(voice)
        yield* registry.drop(voice)
        assert.deepEqual(yield* registry.warmNodes(voice, 0), [])
      }))

    it.effect("forgets a node once the voice has a mark that is the TTL newer", () =>
      Effect.gen(function*() {
        const registry = yield* VoiceWarmRegistry
        const voice = freshVoice()
        yield* registry.mark(voice, "node-a", 1_000)
        yield* registry.mark(voice, "node-b", 60_999)
        assert.equal((yield* registry.warmNodes(voice, 0)).length, 2)
        yield* registry.mark(voice, "node-b", 61_000)
        assert.deepEqual(yield* registry.warmNodes(voice, 0), [{ nodeId: "node-b", atMillis: 61_000 }])
      }))
  })
}

it.effect("forgets a voice in memory the TTL after its last mark", () =>
  Effect.gen(function*() {
    const registry = yield* VoiceWarmRegistry
    const voice = freshVoice()
    yield* registry.mark(voice, "node-a", 0)
    yield* TestClock.adjust("59 seconds")
    yield* registry.mark(voice, "node-a", 59_000)
    yield* TestClock.adjust("59 seconds")
    assert.equal((yield* registry.warmNodes(voice, 0)).length, 1)
    yield* TestClock.adjust("1 second")
    assert.deepEqual(yield* registry.warmNodes(voice, 0), [])
  }).pipe(Effect.provide(VoiceWarmRegistry.layerMemory({ ttl: "1 minute" }))))

it.effect("keeps at most 10 000 voices in memory, the last marked ones", () =>
  Effect.gen(function*() {
    const registry = yield* VoiceWarmRegistry
    const all = Array.from({ length: 10_001 }, freshVoice)
    for (const voice of all.slice(0, 10_000)) yield* registry.mark(voice, "node-a", 0)
    yield* registry.mark(all[0]!, "node-a", 1)
    yield* registry.mark(all[10_000]!, "node-a", 1)
    assert.equal((yield* registry.warmNodes(all[0]!, 0)).length, 1)
    assert.deepEqual(yield* registry.warmNodes(all[1]!, 0), [])
  }).pipe(Effect.provide(VoiceWarmRegistry.layerMemory())))

it.live("has Redis forget a voice the TTL after its last mark", () =>
  Effect.gen(function*() {
    const registry = yield* VoiceWarmRegistry
    const voice = freshVoice()
    yield* registry.mark(voice, "node-a", 1)
    const left = yield* Redis.use(({ use }) => use((client) => client.pttl(`scaispeak:voice-warm:${voice}`)))
    assert.ok(left > 0 && left <= 300)
    yield* Effect.sleep(left + 20)
    assert.deepEqual(yield* registry.warmNodes(voice, 0), [])
  }).pipe(Effect.provide(VoiceWarmRegistry.layerRedis({ ttl: "300 millis" }).pipe(Layer.provideMerge(redis)))))
