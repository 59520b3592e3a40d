/** Which calls run now, which wait, and which are sent away. */
import { Effect, Schema, Semaphore } from "effect"

/** The node runs as many calls as it may and its queue is full. `queued` is that queue's length. */
export class NodeFull extends Schema.TaggedError<NodeFull>()("NodeFull", { queued: Schema.Natural }) {}

/** The node is shutting down: another one should be asked. */
export class NodeDraining extends Schema.TaggedError<NodeDraining>()("NodeDraining", {}) {}

export interface Admission {
  /** Runs the call in its turn, first come first served; refuses at once when there is no place to wait in. */
  readonly admit: <A, E, R>(call: Effect.Effect<A, E, R>) => Effect.Effect<A, E | NodeFull | NodeDraining, R>
  readonly active: () => number
  readonly queued: () => number
  readonly draining: () => boolean
  /** Takes no call from now on. */
  readonly close: Effect.Effect<void>
}

export const make = (options: { readonly capacity: number; readonly queue: number }): Admission => {
  const turns = Semaphore.makeUnsafe(options.capacity)
  let admitted = 0
  let active = 0
  let closed = false
  const queued = () => admitted - active

  const enter = Effect.suspend((): Effect.Effect<void, NodeFull | NodeDraining> => {
    if (closed) return Effect.fail(new NodeDraining())
    if (admitted >= options.capacity + options.queue) return Effect.fail(new NodeFull({ queued: queued() }))
    admitted++
    return Effect.void
  })
  const leave = Effect.sync(() => {
    admitted--
  })
  const begin = Effect.sync(() => {
    active++
  })
  const finish = Effect.sync(() => {
    active--
  })

  return {
    admit: (call) =>
      Effect.acquireUseRelease(
        enter,
        () => turns.withPermits(1)(Effect.acquireUseRelease(begin, () => call, () => finish)),
        () => leave
      ),
    active: () => active,
    queued,
    draining: () => closed,
    close: Effect.sync(() => {
      closed = true
    })
  }
}
