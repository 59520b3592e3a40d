/**
 * From allowed backends to one that is heard. A call moves on, to another node or to the next backend, only while nothing
 * of it has been heard, and what the last one was doing is stopped before. All attempts share one deadline.
 */
import { Cause, Channel, Clock, Effect, Exit, Metric, Scope, Stream } from "effect"
import type { Pull } from "effect"
import { bytesPerSample } from "../../domain/AudioFormat.ts"
import type { Backend } from "../../domain/BackendPolicy.ts"
import { blame, nextBackend, waitOf } from "../../domain/Failover.ts"
import type { Tried } from "../../domain/Failover.ts"
import { BackendFailed, BackendTimeout } from "../../domain/Failure.ts"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import { isBackends } from "../Dispatch.ts"
import type { Attempt, Dispatched, DispatchRefusal } from "../Dispatch.ts"
import { step } from "../Trace.ts"

export type Chunks = readonly [PcmChunk, ...Array<PcmChunk>]
export type AudioPull = Pull.Pull<Chunks, DispatchRefusal>

/** A backend that has been heard: its first chunks, how to get the rest, and how to stop it. */
export interface Heard {
  readonly dispatched: Dispatched
  readonly first: Chunks
  readonly pull: AudioPull
  readonly close: Effect.Effect<void>
}

/** Where a call may go. */
export interface Route {
  /** Best first. */
  readonly candidates: ReadonlyArray<Backend>
  /** Addresses of the nodes asked so far. */
  readonly tried: Set<string>
  /** Nodes of A that could take the call and have not been asked. */
  readonly otherNodes: () => number
  /** Asks one backend to speak `text`. */
  readonly attempt: (
    backend: Backend,
    text: string,
    attempt: Attempt
  ) => Effect.Effect<Heard, DispatchRefusal, Scope.Scope>
  /** Takes down what happened, one sentence each, for the record of the synthesis. */
  readonly note: (sentence: string) => void
}

/** Asks until one is heard. What no backend could mend ends the search at once. */
export const firstHeard = Effect.fnUntraced(function*(
  route: Route,
  text: string,
  firstAudioMsMax: number
): Effect.fn.Return<Heard, DispatchRefusal, Scope.Scope> {
  const deadline = (yield* Clock.currentTimeMillis) + firstAudioMsMax
  const tries: Array<Tried> = []

  const ask = (backend: Backend, leftMillis: number): Effect.Effect<Heard, DispatchRefusal, Scope.Scope> => {
    const others = route.otherNodes() - (backend === "A" ? 1 : 0)
    const isLast = nextBackend(route.candidates, [...tries, { backend, failure: anyFailure }], others) === undefined
    return Effect.catchIf(
      route.attempt(backend, text, {
        firstAudioMsMax: waitOf(leftMillis, isLast),
        tried: route.tried,
        note: route.note
      }),
      isBackends,
      (failure) => {
        tries.push({ backend, failure })
        route.note(`${backend} did not speak: ${failure.code}.`)
        return Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const next = now < deadline ? nextBackend(route.candidates, tries, route.otherNodes()) : undefined
          return next === undefined
            ? Effect.fail(blame(tries as [Tried, ...Array<Tried>]))
            : Effect.logWarning("backend passed over", { backend, code: failure.code, next }).pipe(
              Effect.andThen(Metric.update(next === backend ? passedToNode : passedToBackend, 1)),
              Effect.andThen(ask(next, deadline - now))
            )
        })
      }
    )
  }
  return yield* ask(route.candidates[0]!, firstAudioMsMax)
})

const passedTotal = Metric.counter("scaispeak_passed_over_total", {
  description: "Attempts that failed before anything was heard, by who was asked next",
  incremental: true
})
const passedToNode = Metric.withAttributes(passedTotal, { next: "node" })
const passedToBackend = Metric.withAttributes(passedTotal, { next: "backend" })

/** Stands for what may go wrong when it is asked who would come after. */
const anyFailure = new BackendFailed({ backend: "A", cause: undefined })

/** Dispatches in a scope of its own, closed at once on failure, and waits for the first sound. */
export const hear = (
  dispatch: Effect.Effect<Dispatched, DispatchRefusal, Scope.Scope>,
  backend: Backend,
  firstAudioMsMax: number
): Effect.Effect<Heard, DispatchRefusal, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (parent) =>
    Effect.flatMap(Scope.fork(parent), (scope) => {
      const heard = Effect.gen(function*() {
        const dispatched = yield* dispatch
        // Not `Stream.toPull`: around each pull it copies every service of the process, and takes turns that nobody needs.
        const pull: AudioPull = yield* Channel.toPullScoped(Stream.toChannel(dispatched.audio), scope)
        const first = yield* firstSound(pull, dispatched).pipe(step("synthesis.first_audio"))
        return { dispatched, first, pull, close: Scope.close(scope, Exit.void) }
      }).pipe(Scope.provide(scope))
      return Effect.onError(
        // A keeps to the time by itself, without a second fiber.
        backend === "A" ? heard : Effect.timeoutOrElse(heard, {
          duration: firstAudioMsMax,
          orElse: () => Effect.fail(new BackendTimeout({ backend, waitedMs: firstAudioMsMax }))
        }),
        (cause) => Scope.close(scope, Exit.failCause(cause))
      )
    }))

/** More silence at the beginning than any voice makes, s: what goes on so long will not speak. */
const silenceSecondsMax = 10

/**
 * The first chunks with sound in them. A backend that accepts a call and ends in silence, of no samples or of zeros, has
 * failed, whatever it says.
 */
const firstSound = (
  pull: AudioPull,
  { backend, sampleRate }: Dispatched,
  heldBytes = 0
): Effect.Effect<Chunks, DispatchRefusal> =>
  Effect.catchIf(
    Effect.flatMap(pull, (chunks): AudioPull => {
      if (chunks.some(({ pcm }) => hasSound(pcm))) return Effect.succeed(chunks)
      const held = chunks.reduce((sum, { pcm }) => sum + pcm.length, heldBytes)
      if (held > silenceSecondsMax * sampleRate * bytesPerSample) return Effect.fail(silent(backend))
      return Effect.map(firstSound(pull, { backend, sampleRate } as Dispatched, held), (more) =>
        [...chunks, ...more] as const)
    }),
    Cause.isDone,
    () =>
      Effect.fail(silent(backend))
  ) as Effect.Effect<Chunks, DispatchRefusal>

const hasSound = (pcm: Uint8Array): boolean => {
  for (let i = 0; i < pcm.length; i++) if (pcm[i] !== 0) return true
  return false
}

const silent = (backend: Backend) => new BackendFailed({ backend, cause: new Error("The backend made no sound.") })
