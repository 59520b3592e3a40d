/** One suite for the breakers of one process and for those shared through Redis. */
import { describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, Scope } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { Breakers } from "../../src/services/Breakers.ts"
import { Redis } from "../../src/services/Redis.ts"
import { redisUrl } from "../servers/inject.ts"
import { startRedis } from "../servers/Redis.ts"

const options = { failures: 3, openMs: 150 }
const redis = Layer.unwrap(Effect.map(Effect.promise(redisUrl), (url) => Redis.layer(Redacted.make(url))))
const layers = {
  memory: Breakers.layerMemory(options),
  Redis: Breakers.layerRedis(options).pipe(Layer.provide(redis))
}

const build = (layer: Layer.Layer<Breakers>) =>
  Effect.flatMap(Layer.build(Layer.fresh(layer)), (context) => Effect.provide(Breakers, context))

const until = (condition: () => boolean) =>
  Effect.repeat(Effect.andThen(Effect.sleep(5), Effect.sync(condition)), { until: (met) => met }).pipe(
    Effect.timeout("8 seconds")
  )

/** A backend that works again when told to. */
const backend = () => {
  const it = { works: false, probes: 0 }
  return {
    it,
    probe: Effect.suspend(() => {
      it.probes++
      return it.works ? Effect.void : Effect.fail("still broken")
    })
  }
}

describe.each(Object.entries(layers))("Breakers: %s", (_, breakersLayer) => {
  it.live("opens after failures in a row, and closes when a probe of its own succeeds", () =>
    Effect.gen(function*() {
      const breakers = yield* build(breakersLayer)
      const { it, probe } = backend()
      yield* breakers.watch("node:a", probe)
      yield* breakers.watch("node:b", probe)
      assert.equal(breakers.isOpen("node:a"), false)
      for (let i = 0; i < 3; i++) breakers.note("node:a", "failure")
      yield* until(() => breakers.isOpen("node:a"))
      assert.equal(breakers.isOpen("node:b"), false, "one node's failures are its own")
      yield* until(() => it.probes >= 2)
      assert.equal(breakers.isOpen("node:a"), true, "a probe that fails keeps calls away")
      it.works = true
      yield* until(() => !breakers.isOpen("node:a"))
    }))

  it.live("stays closed when successes come between, and forgets what it does not watch", () =>
    Effect.gen(function*() {
      const breakers = yield* build(breakersLayer)
      const { it, probe } = backend()
      const scope = yield* Scope.make()
      yield* Scope.provide(breakers.watch("node:c", probe), scope)
      for (let i = 0; i < 10; i++) {
        breakers.note("node:c", "failure")
        breakers.note("node:c", "failure")
        breakers.note("node:c", "success")
      }
      yield* Effect.sleep("300 millis")
      assert.equal(breakers.isOpen("node:c"), false)
      assert.equal(it.probes, 0)
      for (let i = 0; i < 3; i++) breakers.note("node:c", "failure")
      yield* until(() => breakers.isOpen("node:c"))
      yield* Scope.close(scope, Exit.void)
      assert.equal(breakers.isOpen("node:c"), false)
      breakers.note("node:c", "failure")
    }))

  it.live("takes a probe that hangs for a failed one, without holding anybody up", () =>
    Effect.gen(function*() {
      const breakers = yield* build(breakersLayer)
      yield* breakers.watch("node:d", Effect.never)
      for (let i = 0; i < 3; i++) breakers.note("node:d", "failure")
      yield* until(() => breakers.isOpen("node:d"))
      yield* Effect.sleep("400 millis")
      assert.equal(breakers.isOpen("node:d"), true)
    }))
})

describe("Breakers in several processes", () => {
  it.live("learn from each other within a second or so, and close together", () =>
    Effect.gen(function*() {
      const url = yield* Effect.promise(redisUrl)
      const own = () => build(Breakers.layerRedis(options).pipe(Layer.provide(Redis.layer(Redacted.make(url)))))
      const [one, other] = [yield* own(), yield* own()]
      const { it, probe } = backend()
      yield* one.watch("relay", probe)
      yield* other.watch("relay", probe)
      for (let i = 0; i < 3; i++) one.note("relay", "failure")
      yield* until(() => one.isOpen("relay") && other.isOpen("relay"))
      it.works = true
      yield* until(() => !one.isOpen("relay") && !other.isOpen("relay"))
    }))

  it.live("go by what each has seen while Redis is away", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.promise(startRedis),
        (server) => Effect.promise(() => server.stop())
      )
      yield* Effect.promise(() => server.stop())
      const breakers = yield* build(
        Breakers.layerRedis(options).pipe(Layer.provide(Redis.layer(Redacted.make(server.url))))
      )
      const { it, probe } = backend()
      yield* breakers.watch("node:e", probe)
      for (let i = 0; i < 3; i++) breakers.note("node:e", "failure")
      yield* until(() => breakers.isOpen("node:e"))
      it.works = true
      yield* until(() => !breakers.isOpen("node:e"))
    }))
})

it.effect("waits twice as long after each probe that failed, up to 30 s", () =>
  Effect.gen(function*() {
    const breakers = yield* build(Breakers.layerMemory({ failures: 1, openMs: 1000 }))
    const { it, probe } = backend()
    yield* breakers.watch("node:f", probe)
    breakers.note("node:f", "failure")
    const probesAt: Array<number> = []
    for (let second = 0; second <= 120; second++) {
      const before = it.probes
      yield* TestClock.adjust("1 second")
      if (it.probes > before) probesAt.push(second)
    }
    const gaps = probesAt.slice(1).map((at, i) => at - probesAt[i]!)
    assert.deepEqual(gaps.slice(0, 4), [2, 4, 8, 16])
    assert.ok(gaps.slice(4).every((gap) => gap === 30), gaps.join(", "))
  }))
