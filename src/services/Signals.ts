/**
 * Signals between the processes of the service, by Redis publish/subscribe where there is Redis.
 *
 * A signal is a hint and never the only way: it may be lost, and what depends on it must come right without it, only later.
 * What a subscriber can rely on is that it is told when it may have missed some: a `Resync` after every time that Redis was
 * out of reach, and when it was too slow for its {@link waitingMax}. Subscribers of this process hear
 * at once, Redis or not.
 */
import { Context, Effect, Layer, Option, Queue, Stream } from "effect"
import type { Scope } from "effect"
import { topicNames } from "../domain/Signal.ts"
import type { Payload, Signal, Topic } from "../domain/Signal.ts"
import { Redis } from "./Redis.ts"
import * as RedisChannels from "./Signals/RedisChannels.ts"

/** Signals that may wait for one subscriber; one more, and all of them give way to a `Resync`. */
export const waitingMax = 1024

export interface Subscription<T extends Topic> {
  /** What is published from now on until the scope closes. To be run once. */
  readonly signals: Stream.Stream<Signal<T>>
  /** As {@link Signals.publish}, to everybody but this subscriber, who has acted already. */
  readonly tellOthers: (payload: Payload<T>) => Effect.Effect<void>
}

export class Signals extends Context.Service<Signals, {
  /** Tells every subscriber there is. When other processes cannot be told that is logged, not failed with. */
  readonly publish: <T extends Topic>(topic: T, payload: Payload<T>) => Effect.Effect<void>
  readonly subscribe: <T extends Topic>(topic: T) => Effect.Effect<Subscription<T>, never, Scope.Scope>
}>()("scaispeak/Signals") {
  /** Through Redis where there is one, else within this process. */
  static readonly layer: Layer.Layer<Signals> = Layer.unwrap(
    Effect.map(Effect.serviceOption(Redis), (redis) =>
      Option.isNone(redis)
        ? Signals.layerMemory
        : Signals.layerRedis.pipe(Layer.provide(Layer.succeed(Redis, redis.value))))
  )

  /** Of this process alone. */
  static readonly layerMemory: Layer.Layer<Signals> = Layer.sync(
    Signals,
    () => make(makeSubscribers(), () => Effect.void)
  )

  /** Shared by every process on the same database of the same Redis. It may be away when this is built. */
  static readonly layerRedis: Layer.Layer<Signals, never, Redis> = Layer.effect(
    Signals,
    Effect.gen(function*() {
      const subscribers = makeSubscribers()
      const send = yield* RedisChannels.open({
        onMessage: (topic, payload) => subscribers.deliver(topic, { _tag: "Message", payload }),
        onResync: () => topicNames.forEach((topic) => subscribers.deliver(topic, { _tag: "Resync" }))
      })
      return make(subscribers, send)
    })
  )
}

/**
 * Does `react` for every signal, one after the other, from now on until the scope closes. Returns how to tell the others:
 * what this subscriber tells does not come back to it.
 */
export const onSignal = <T extends Topic>(
  signals: Signals["Service"],
  topic: T,
  react: (signal: Signal<T>) => Effect.Effect<void>
): Effect.Effect<Subscription<T>["tellOthers"], never, Scope.Scope> =>
  Effect.flatMap(
    signals.subscribe(topic),
    (subscription) =>
      Effect.as(Effect.forkScoped(Stream.runForEach(subscription.signals, react)), subscription.tellOthers)
  )

/** `send`: to other processes. */
const make = (
  { deliver, open }: ReturnType<typeof makeSubscribers>,
  send: <T extends Topic>(topic: T, payload: Payload<T>) => Effect.Effect<void>
): Signals["Service"] => {
  const publish = <T extends Topic>(topic: T, payload: Payload<T>, except?: Queue.Queue<Signal<T>>) =>
    Effect.suspend(() => {
      deliver(topic, { _tag: "Message", payload }, except)
      return send(topic, payload)
    })
  return {
    publish: (topic, payload) => publish(topic, payload),
    subscribe: <T extends Topic>(topic: T) =>
      Effect.map(open(topic), (queue): Subscription<T> => ({
        signals: Stream.fromQueue(queue),
        tellOthers: (payload) => publish(topic, payload, queue)
      }))
  }
}

type Queues = { readonly [T in Topic]: Set<Queue.Queue<Signal<T>>> }

/** The subscribers of this process, by topic. */
const makeSubscribers = () => {
  const queues = Object.fromEntries(topicNames.map((topic) => [topic, new Set()])) as unknown as Queues
  const queuesOf = <T extends Topic>(topic: T): Set<Queue.Queue<Signal<T>>> => queues[topic]
  return {
    deliver: <T extends Topic>(topic: T, signal: Signal<T>, except?: Queue.Queue<Signal<T>>): void => {
      for (const queue of queuesOf(topic)) {
        if (queue === except || Queue.offerUnsafe(queue, signal)) continue
        for (let waiting = Queue.sizeUnsafe(queue); waiting > 0; waiting--) Queue.takeUnsafe(queue)
        Queue.offerUnsafe(queue, { _tag: "Resync" })
      }
    },
    open: <T extends Topic>(topic: T): Effect.Effect<Queue.Queue<Signal<T>>, never, Scope.Scope> =>
      Effect.acquireRelease(
        Effect.tap(
          Queue.dropping<Signal<T>>(waitingMax),
          (queue) => Effect.sync(() => queuesOf(topic).add(queue))
        ),
        (queue) => Effect.andThen(Effect.sync(() => queuesOf(topic).delete(queue)), Queue.shutdown(queue))
      )
  }
}
