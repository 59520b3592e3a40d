/**
 * Work that all who ask for the same key at once share.
 *
 * It runs in a fiber of its own: who stops waiting takes nothing from the others, and when nobody waits it stops. Its
 * result is not kept; the next to ask starts anew.
 */
import { Cause, Effect, Exit, Fiber, FiberSet, Schema, type Scope } from "effect"

/** The work was stopped by {@link Flights.abort}, or with the scope that it runs in. */
export class Aborted extends Schema.TaggedError<Aborted>()("Aborted", {}) {}

export interface Flights<A, E> {
  /** Joins what runs under the key, or starts `work`. Interrupting it waits until work that it stops has stopped. */
  readonly join: (key: string, work: Effect.Effect<A, E>) => Effect.Effect<A, E | Aborted>
  /** Stops what runs under the key, and waits until it has stopped. */
  readonly abort: (key: string) => Effect.Effect<void>
}

interface Flight<A, E> {
  readonly fiber: Fiber.Fiber<A, E>
  waiting: number
}

export const make = Effect.fnUntraced(function*<A, E>(): Effect.fn.Return<Flights<A, E>, never, Scope.Scope> {
  const fibers = yield* FiberSet.make<A, E>()
  const flights = new Map<string, Flight<A, E>>()

  // In one step, so that nobody boards or aborts between the look and the entry. The first passenger lends its context.
  const board = (key: string, work: Effect.Effect<A, E>) =>
    Effect.withFiber<Flight<A, E>>((passenger) => {
      const under = flights.get(key)
      if (under !== undefined) {
        under.waiting++
        return Effect.succeed(under)
      }
      // It takes off when it is known.
      const fiber = Effect.runForkWith(passenger.context)(Effect.andThen(Effect.yieldNow, work))
      const flight: Flight<A, E> = { fiber, waiting: 1 }
      flights.set(key, flight)
      FiberSet.addUnsafe(fibers, fiber)
      fiber.addObserver(() => forget(key, flight))
      return Effect.succeed(flight)
    })

  const leave = (key: string, flight: Flight<A, E>) =>
    Effect.suspend(() => {
      flight.waiting--
      if (flight.waiting > 0) return Effect.void
      forget(key, flight)
      return Fiber.interrupt(flight.fiber)
    })

  const forget = (key: string, flight: Flight<A, E>) => {
    if (flights.get(key) === flight) flights.delete(key)
  }

  return {
    join: (key, work) =>
      Effect.acquireUseRelease(
        board(key, work),
        ({ fiber }) => Effect.flatMap(Fiber.await(fiber), landed),
        (flight) => leave(key, flight)
      ),
    abort: (key) =>
      Effect.suspend(() => {
        const flight = flights.get(key)
        if (flight === undefined) return Effect.void
        forget(key, flight)
        return Fiber.interrupt(flight.fiber)
      })
  }
})

const landed = <A, E>(exit: Exit.Exit<A, E>): Effect.Effect<A, E | Aborted> =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause) ? Effect.fail(new Aborted()) : exit
