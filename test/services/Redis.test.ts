/** The connection, against a server that is killed, hung and brought back. */
import { it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted } from "effect"
import assert from "node:assert/strict"
import { Redis, script } from "../../src/services/Redis.ts"
import { redisUrl } from "../servers/inject.ts"
import { startRedis } from "../servers/Redis.ts"

const server = Effect.acquireRelease(Effect.promise(startRedis), (server) => Effect.promise(() => server.stop()))

const connect = (url: string) =>
  Effect.flatMap(Layer.build(Redis.layer(Redacted.make(url))), (context) => Effect.provide(Redis, context))

/** Runs until it succeeds, for a service that heals itself; a test's own time limit bounds it. */
const eventually = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A> =>
  Effect.eventually(Effect.tapError(effect, () => Effect.sleep("20 millis")))

it.live("connects at the first command", () =>
  Effect.gen(function*() {
    const redis = yield* connect(yield* Effect.promise(redisUrl))
    const all = Array.from({ length: 50 }, (_, i) => redis.use((client) => client.rpush("list", i)))
    yield* Effect.all(all, { concurrency: "unbounded" })
    assert.equal(yield* redis.use((client) => client.llen("list")), 50)
    yield* redis.health
  }))

it.live("sends a script once and again when the server has forgotten it", () =>
  Effect.gen(function*() {
    const redis = yield* connect(yield* Effect.promise(redisUrl))
    const add = script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert.equal(yield* redis.evaluate(add, ["sum"], [5]), 5)
    yield* redis.use((client) => client.script("FLUSH"))
    assert.equal(yield* redis.evaluate(add, ["sum"], [2]), 7)
  }))

it.live("can be built while Redis is away, and finds it later", () =>
  Effect.gen(function*() {
    const it = yield* server
    yield* Effect.promise(() => it.kill())
    const redis = yield* connect(it.url)
    const failure = yield* Effect.flip(redis.health)
    assert.equal(failure._tag, "StorageUnavailable")
    assert.equal(failure.store, "redis")
    yield* Effect.promise(() => it.start())
    yield* eventually(redis.health)
  }))

it.live("fails at once while Redis is away, and recovers by itself", () =>
  Effect.gen(function*() {
    const it = yield* server
    const redis = yield* connect(it.url)
    yield* redis.health
    const blocked = yield* Effect.forkChild(Effect.flip(redis.use((client) => client.blpop("nothing", 0))))
    yield* Effect.sleep("20 millis")
    yield* Effect.promise(() => it.kill())
    // What was under way is told, not sent again.
    assert.equal((yield* Fiber.await(blocked))._tag, "Success")
    const [waited] = yield* Effect.timed(Effect.forEach(Array.from({ length: 100 }), () => Effect.flip(redis.health)))
    assert.ok(Duration.toMillis(waited) < 2_000, `${Duration.toMillis(waited)} ms for 100`)
    yield* Effect.promise(() => it.start())
    const [healed] = yield* Effect.timed(eventually(redis.health))
    assert.ok(Duration.toMillis(healed) < 5_000)
  }))

it.live("gives up on a server that hangs, and comes back when it does", () =>
  Effect.gen(function*() {
    const it = yield* server
    const redis = yield* connect(it.url)
    yield* redis.health
    it.pause()
    const [waited] = yield* Effect.timed(Effect.flip(redis.health))
    assert.ok(Duration.toMillis(waited) < 2_000, `${Duration.toMillis(waited)} ms`)
    it.resume()
    yield* eventually(redis.health)
  }))
