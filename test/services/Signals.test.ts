/** One suite for signals in memory and through Redis, and Redis away and back. */
import { it, layer } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Queue, Redacted, Stream } from "effect"
import { Redis as IoRedis } from "ioredis"
import assert from "node:assert/strict"
import { TenantId, VoiceId } from "../../src/domain/Ids.ts"
import type { Signal, Topic } from "../../src/domain/Signal.ts"
import { Redis } from "../../src/services/Redis.ts"
import { Signals, waitingMax } from "../../src/services/Signals.ts"
import { redisUrl } from "../servers/inject.ts"
import { startRedis } from "../servers/Redis.ts"

const at = (url: string) => Layer.fresh(Signals.layer.pipe(Layer.provide(Layer.fresh(Redis.layer(Redacted.make(url))))))

const layers = {
  memory: Signals.layer,
  Redis: Layer.unwrap(Effect.map(Effect.promise(redisUrl), at))
}

/** What a subscriber gets, to be taken one by one. */
const heard = Effect.fnUntraced(function*<T extends Topic>(signals: Signals["Service"], topic: T) {
  const queue = yield* Queue.unbounded<Signal<T>>()
  const { signals: stream } = yield* signals.subscribe(topic)
  yield* Effect.forkScoped(Stream.runForEach(stream, (signal) => Queue.offer(queue, signal)))
  return queue
})

const acme = { tenantId: TenantId.make("acme") }
const globex = { tenantId: TenantId.make("globex") }
const message = <A>(payload: A) => ({ _tag: "Message" as const, payload })
const resync = { _tag: "Resync" as const }
const messagesOf = (signals: ReadonlyArray<{ readonly _tag: string }>) =>
  signals.filter(({ _tag }) => _tag === "Message").length
/** The next message, whatever resyncs come before it. */
const nextMessage = <T extends Topic>(queue: Queue.Queue<Signal<T>>) =>
  Effect.repeat(Queue.take(queue), { until: ({ _tag }) => _tag === "Message" })

for (const [name, signals] of Object.entries(layers)) {
  layer(signals, { excludeTestServices: true })(`Signals: ${name}`, (it) => {
    it.effect("reach every subscriber of their topic, in order, and no other", () =>
      Effect.gen(function*() {
        const signals = yield* Signals
        const one = yield* heard(signals, "policy.changed")
        const two = yield* heard(signals, "policy.changed")
        const other = yield* heard(signals, "voices.changed")
        yield* signals.publish("policy.changed", acme)
        yield* signals.publish("policy.changed", globex)
        for (const queue of [one, two]) {
          assert.deepEqual(yield* nextMessage(queue), message(acme))
          assert.deepEqual(yield* nextMessage(queue), message(globex))
        }
        yield* Effect.sleep(50)
        assert.equal(messagesOf(yield* Queue.clear(other)), 0)
        assert.equal(messagesOf(yield* Queue.clear(one)), 0, "one's own are heard once")
      }))

    it.effect("that a subscriber sends reach all but itself", () =>
      Effect.gen(function*() {
        const signals = yield* Signals
        const other = yield* heard(signals, "policy.changed")
        const { signals: own, tellOthers } = yield* signals.subscribe("policy.changed")
        yield* tellOthers(acme)
        yield* signals.publish("policy.changed", globex)
        const messages = Stream.filter(own, ({ _tag }) => _tag === "Message")
        assert.deepEqual(yield* Stream.runCollect(Stream.take(messages, 1)), [message(globex)])
        assert.deepEqual(yield* nextMessage(other), message(acme))
      }))

    it.effect("that a slow subscriber has no room for give way to a resync", () =>
      Effect.gen(function*() {
        const signals = yield* Signals
        const { signals: stream } = yield* signals.subscribe("policy.changed")
        for (let i = 0; i <= waitingMax; i++) yield* signals.publish("policy.changed", acme)
        yield* signals.publish("policy.changed", globex)
        assert.deepEqual(yield* Stream.runCollect(Stream.take(stream, 2)), [resync, message(globex)])
      }))
  })
}

const build = (url: string) => Effect.map(Layer.build(at(url)), (context) => Context.get(context, Signals))

it.live("Signals through Redis reach other processes, and those of another database do not", () =>
  Effect.gen(function*() {
    const url = yield* Effect.promise(redisUrl)
    const [one, two, elsewhere] = [
      yield* build(url),
      yield* build(url),
      yield* build(yield* Effect.promise(redisUrl))
    ]
    const [queue, far] = [yield* heard(two, "voice.stopped"), yield* heard(elsewhere, "voice.stopped")]
    const payload = { voiceId: VoiceId.make("vox_mine"), reason: "consent revoked" }
    const again = Effect.andThen(one.publish("voice.stopped", payload), Effect.sleep(20))
    yield* Effect.repeat(again, { until: () => Queue.sizeUnsafe(queue) > 0 })
    yield* Queue.clear(queue)
    const startedAt = performance.now()
    yield* one.publish("voice.stopped", payload)
    assert.deepEqual(yield* Queue.take(queue), message(payload))
    console.log(`a signal reached another process in ${(performance.now() - startedAt).toFixed(1)} ms`)
    yield* Effect.sleep(50)
    assert.equal(messagesOf(yield* Queue.clear(far)), 0)
  }))

it.live("Signals ignore what makes no sense", () =>
  Effect.gen(function*() {
    const url = yield* Effect.promise(redisUrl)
    const signals = yield* build(url)
    const queue = yield* heard(signals, "policy.changed")
    const stranger = yield* Effect.acquireRelease(
      Effect.sync(() => new IoRedis(url)),
      (client) => Effect.sync(() => client.disconnect())
    )
    const channel = `scaispeak:${new URL(url).pathname.slice(1)}:policy.changed`
    for (const junk of ["", "{", "[]", `{"from":"x","payload":{}}`, `{"from":"x","payload":{"tenantId":7}}`]) {
      const publish = Effect.promise(() => stranger.publish(channel, junk))
      yield* Effect.repeat(Effect.delay(publish, 10), { until: (hearers) => hearers === 1 })
    }
    yield* Effect.promise(() => stranger.publish(channel, `{"from":"x","payload":{"tenantId":"acme"}}`))
    assert.deepEqual(yield* nextMessage(queue), message(acme))
  }).pipe(Effect.provide(Logger.layer([]))))

it.live("Signals say resync when Redis was away or hung, and are heard again", () =>
  Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.promise(startRedis),
      (server) => Effect.promise(() => server.stop())
    )
    const [one, two] = [yield* build(server.url), yield* build(server.url)]
    const own = yield* heard(one, "policy.changed")
    const queue = yield* heard(two, "policy.changed")
    const publish = Effect.andThen(one.publish("policy.changed", acme), Effect.sleep(50))
    yield* Effect.repeat(publish, { until: () => Queue.sizeUnsafe(queue) > 0 })

    yield* Effect.promise(() => server.kill())
    yield* Queue.clear(queue)
    yield* Queue.clear(own)
    yield* one.publish("policy.changed", acme)
    assert.deepEqual(yield* Queue.take(own), message(acme), "this process hears itself without Redis")
    yield* Effect.promise(() => server.start())
    assert.deepEqual(yield* Queue.take(queue), resync)
    assert.deepEqual(yield* Queue.take(own), resync)

    // Both connections of `one` come back in their own time; a signal is tried until it is heard.
    const again = Effect.andThen(one.publish("policy.changed", globex), Effect.sleep(50))
    yield* Effect.repeat(again, { until: () => Queue.sizeUnsafe(queue) > 0 })
    assert.deepEqual(yield* Queue.take(queue), message(globex))

    server.pause()
    yield* Effect.sleep(2_500)
    server.resume()
    const startedAt = performance.now()
    yield* Effect.repeat(Queue.take(queue), { until: ({ _tag }) => _tag === "Resync" })
    console.log(`a hung Redis was noticed; resynced ${(performance.now() - startedAt).toFixed(0)} ms after it answered`)
  }).pipe(Effect.provide(Logger.layer([]))), 20_000)
