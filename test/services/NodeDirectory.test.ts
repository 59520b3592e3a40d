/** One suite for the directory in memory and in Redis. */
import { it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { GetInfoResponse } from "../../src/proto/scaiinfer/v1/audio.ts"
import { forgottenMillis, NodeDirectory } from "../../src/services/NodeDirectory.ts"
import { Redis } from "../../src/services/Redis.ts"
import { redisUrl } from "../servers/inject.ts"

const redis = Layer.unwrap(Effect.map(Effect.promise(redisUrl), (url) => Redis.layer(Redacted.make(url))))

const directories = {
  memory: NodeDirectory.layer,
  Redis: NodeDirectory.layer.pipe(Layer.provideMerge(redis))
}

const info = (nodeId: string, active: number) =>
  GetInfoResponse.fromPartial({
    nodeId,
    load: { capacity: 8, active, queued: 0 },
    heldReferences: [new Uint8Array(32).map((_, i) => 255 - i)]
  })

for (const [name, directory] of Object.entries(directories)) {
  layer(directory)(`NodeDirectory: ${name}`, (it) => {
    it.effect("keeps the last word of every node, by address", () =>
      Effect.gen(function*() {
        const nodes = yield* NodeDirectory
        assert.deepEqual(yield* nodes.list, [])
        yield* nodes.announce("b:2", info("two", 1))
        yield* nodes.announce("a:1", info("one", 1))
        yield* nodes.announce("b:2", info("two", 7))
        const list = yield* nodes.list
        assert.deepEqual(list.map(({ address }) => address), ["a:1", "b:2"])
        assert.deepEqual(list[1]!.info.load, { capacity: 8, active: 7, queued: 0 })
        assert.deepEqual([...list[1]!.info.heldReferences[0]!], [...info("two", 7).heldReferences[0]!])
        assert.ok(list.every(({ ageMillis }) => ageMillis >= 0 && ageMillis < 5_000))
      }))
  })
}

it.effect("forgets who has been silent for five minutes", () =>
  Effect.gen(function*() {
    const nodes = yield* NodeDirectory
    yield* nodes.announce("a:1", info("one", 0))
    yield* TestClock.adjust(forgottenMillis - 1000)
    yield* nodes.announce("b:2", info("two", 0))
    assert.deepEqual((yield* nodes.list).map(({ ageMillis }) => ageMillis), [forgottenMillis - 1000, 0])
    yield* TestClock.adjust("2 seconds")
    assert.deepEqual((yield* nodes.list).map(({ address }) => address), ["b:2"])
  }).pipe(Effect.provide(NodeDirectory.layerMemory)))
