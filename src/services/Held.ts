/**
 * What a call holds until its scope closes: `Effect.acquireRelease` for a release that asks for no service.
 *
 * Effect's own keeps the context of whoever acquires for the release, and lays it over the one of whoever closes the scope:
 * two copies of every service of the process for each thing that is let go, which for a live session is a seventh of all
 * that it allocates (`docs/decisions/0012-what-a-thousand-sessions-leave-to-the-collector.md`).
 */
import { Effect, Scope } from "effect"

/** Acquired whole or not at all; released when the scope closes, whatever closes it. `interruptible`: what takes time to acquire. */
export const held = <A, E, R>(
  acquire: Effect.Effect<A, E, R>,
  release: (acquired: A) => Effect.Effect<unknown>,
  { interruptible } = { interruptible: false }
): Effect.Effect<A, E, R | Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.tap(
        interruptible ? restore(acquire) : acquire,
        (acquired) => Scope.addFinalizer(scope, Effect.suspend(() => release(acquired)))
      )
    ))
