/**
 * Spans on the path of every call: there when somebody collects them, and free when nobody does. `Effect.fn` and
 * `Effect.withSpan` capture a stack for each span even while tracing is off, a quarter of what a whole call costs
 * (`docs/decisions/0002-spans-only-for-a-collector.md`).
 */
import { Effect, References, Stream } from "effect"

/** A span around the effect. */
export const step =
  (name: string, attributes: Record<string, unknown> = {}) =>
  <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber) =>
      fiber.getRef(References.TracerEnabled)
        ? Effect.withSpan(self, name, { attributes, captureStackTrace: false }) as Effect.Effect<A, E, R>
        : self
    )

/** A span from the first pull of the stream to its end. */
export const stepStream = <A, E, R>(
  name: string,
  self: Stream.Stream<A, E, R>
): Effect.Effect<Stream.Stream<A, E, R>> =>
  Effect.map(
    References.TracerEnabled,
    (traced) => traced ? Stream.withSpan(self, name, { captureStackTrace: false }) as Stream.Stream<A, E, R> : self
  )
