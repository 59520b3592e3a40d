/**
 * Signals between the processes of the service, by Redis publish/subscribe where there is Redis.
 *
 * A signal is a hint and never the only way: it may be lost, and what depends on it must come right without it, only later.
 * What a subscriber can rely on is that it is told when it may have missed some: a `Resync` after every time that Redis was
 * out of reach, and when it was too slow for its {@link waitingMax}. This process hears its own signals at once, Redis or not.
 */
import { Context, Effect, Layer, Option, Queue, Stream } from "effect"
import type { Scope } from "effect"
import { topicNames } from "../domain/Signal.ts"
import type { Payload, Signal, Topic } from "../domain/Signal.ts"
import { Redis } from "./Redis.ts"
import * as RedisChannels from "./Signals/RedisChannels.ts"

/** Signals that may wait for one subscriber; one more, and all of them give way to a `Resync`. */
export const waitingMax = 1024

export class Signals extends Context.Service<Signals, {
  /** Tells every subscriber there is. One that cannot be told to other processes is logged, not failed with. */
  readonly publish: <T extends Topic>(topic: T, payload: Payload<T>) => Effect.Effect<void>
  /** What is published from now on until the scope closes. */
  readonly subscribe: <T extends Topic>(topic: T) => Effect.Effect<Stream.Stream<Signal<T>>, never, Scope.Scope>
}>()("scaispeak/Signals") {
  /** Through Redis where there is one, else within this process. */
  static readonly layer: Layer.Layer<Signals> = Layer.unwrap(
    Effect.map(Effect.serviceOption(Redis), (redis) =>
      Option.isNone(redis)
        ? Signals.layerMemory
        : Signals.layerRedis.pipe(Layer.provide(Layer.succeed(Redis, redis.value))))
  )

  /** Of this process alone. */
  static readonly layerMemory: Layer.Layer<Signals> = Layer.sync(Signals, () => {
    const { deliver, subscribe } = makeSubscribers()
    return Signals.of({
      subscribe,
      publish: (topic, payload) => Effect.sync(() => deliver(topic, { _tag: "Message", payload }))
    })
  })

  /** Shared by every process on the same database of the same Redis. It may be away when this is built. */
  static readonly layerRedis: Layer.Layer<Signals, never, Redis> = Layer.effect(
    Signals,
    Effect.gen(function*() {
      const { deliver, subscribe } = makeSubscribers()
      const send = yield* RedisChannels.open({
        onMessage: (topic, payload) => deliver(topic, { _tag: "Message", payload }),
        onResync: () => topicNames.forEach((topic) => deliver(topic, { _tag: "Resync" }))
      })
      return Signals.of({
        subscribe,
        publish: (topic, payload) =>
          Effect.andThen(
            Effect.sync(() => deliver(topic, { _tag: "Message", payload })),
            send(topic, payload)
          )
      })
    })
  )
}

/** Does `react` for every signal, one after the other, from now on until the scope closes. */
export const onSignal = <T extends Topic>(
  signals: Signals["Service"],
  topic: T,
  react: (signal: Signal<T>) => Effect.Effect<void>
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(
    signals.subscribe(topic),
    (stream) => Effect.asVoid(Effect.forkScoped(Stream.runForEach(stream, react)))
  )

/** The subscribers of this process, by topic. */
const makeSubscribers = () => {
  const queues = new Map<Topic, Set<Queue.Queue<Signal<any>>>>(topicNames.map((topic) => [topic, new Set()]))
  return {
    deliver: <T extends Topic>(topic: T, signal: Signal<T>): void => {
      for (const queue of queues.get(topic)!) {
        if (Queue.offerUnsafe(queue, signal)) continue
        for (let waiting = Queue.sizeUnsafe(queue); waiting > 0; waiting--) Queue.takeUnsafe(queue)
        Queue.offerUnsafe(queue, { _tag: "Resync" })
      }
    },
    subscribe: <T extends Topic>(topic: T): Effect.Effect<Stream.Stream<Signal<T>>, never, Scope.Scope> =>
      Effect.map(
        Effect.acquireRelease(
          Effect.tap(
            Queue.dropping<Signal<T>>(waitingMax),
            (queue) => Effect.sync(() => queues.get(topic)!.add(queue))
          ),
          (queue) => Effect.andThen(Effect.sync(() => queues.get(topic)!.delete(queue)), Queue.shutdown(queue))
        ),
        (queue) => Stream.fromQueue(queue)
      )
  }
}
