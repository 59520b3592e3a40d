/**
 * From allowed backends to one that is heard. A call moves on to the next only while nothing of it has been heard, and
 * what the last one was doing is stopped before.
 */
import { Cause, Effect, Exit, Scope, Stream } from "effect"
import type { Pull } from "effect"
import type { Backend } from "../../domain/BackendPolicy.ts"
import { BackendFailed } from "../../domain/Failure.ts"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import type { Dispatched, DispatchRefusal } from "../Dispatch.ts"
import { step } from "../Trace.ts"

export type AudioPull = Pull.Pull<readonly [PcmChunk, ...Array<PcmChunk>], DispatchRefusal>

/** A backend that has been heard: its first chunks, and how to get the rest. */
export interface Heard {
  readonly dispatched: Dispatched
  readonly first: readonly [PcmChunk, ...Array<PcmChunk>]
  readonly pull: AudioPull
}

/** Tries backends in order until one is heard; a refusal that another backend cannot mend ends the search. */
export const firstHeard = Effect.fnUntraced(function*(
  [backend, ...others]: ReadonlyArray<Backend>,
  attempt: (backend: Backend) => Effect.Effect<Heard, DispatchRefusal, Scope.Scope>
): Effect.fn.Return<Heard, DispatchRefusal, Scope.Scope> {
  const heard = attempt(backend!)
  if (others.length === 0) return yield* heard
  return yield* Effect.catchIf(
    heard,
    (failure) => failure._tag !== "InvalidRequest",
    (failure) =>
      Effect.logWarning("backend passed over", { backend, code: failure.code }).pipe(
        Effect.andThen(firstHeard(others, attempt))
      )
  )
})

/** Dispatches in a scope of its own, closed at once on failure, and waits for the first sound. */
export const attempt = (
  dispatch: Effect.Effect<Dispatched, DispatchRefusal, Scope.Scope>,
  backend: Backend
): Effect.Effect<Heard, DispatchRefusal, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (parent) =>
    Effect.flatMap(Scope.fork(parent), (scope) =>
      Effect.gen(function*() {
        const dispatched = yield* dispatch
        const pull: AudioPull = yield* Stream.toPull(dispatched.audio)
        const first = yield* firstSound(pull, backend).pipe(step("synthesis.first_audio"))
        return { dispatched, first, pull }
      }).pipe(
        Scope.provide(scope),
        Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
      )))

/** The first chunks with sound in them. A backend that ends in silence has failed, whatever it says. */
const firstSound = (
  pull: AudioPull,
  backend: Backend
): Effect.Effect<readonly [PcmChunk, ...Array<PcmChunk>], DispatchRefusal> =>
  Effect.catchIf(
    Effect.flatMap(pull, (chunks) =>
      chunks.some(({ pcm }) => pcm.length > 0)
        ? Effect.succeed(chunks)
        : Effect.map(firstSound(pull, backend), (more) => [...chunks, ...more] as const)),
    Cause.isDone,
    () => Effect.fail(new BackendFailed({ backend, cause: new Error("The backend ended without sound.") }))
  ) as Effect.Effect<readonly [PcmChunk, ...Array<PcmChunk>], DispatchRefusal>
