/**
 * The one pipeline: every surface that makes sound hands `Synthesis` a decoded request and takes back a plan and PCM.
 *
 * Steps, in order: policy → voice → limits and hold → pick → dispatch → first audio; settling follows when the caller's
 * scope closes. A refusal at any step has touched no backend and leaves no hold. Closing the scope, at any time, stops
 * the backend's work. A call moves to the next allowed backend only while nothing of it has been heard.
 */
import { Cause, Clock, Context, Effect, Exit, Layer, Scope, Stream } from "effect"
import type { Pull } from "effect"
import { millisOfBytes } from "../domain/AudioFormat.ts"
import { decide } from "../domain/BackendPolicy.ts"
import type { Backend, BackendPreference } from "../domain/BackendPolicy.ts"
import { BackendFailed, BackendUnavailable } from "../domain/Failure.ts"
import type { DispatchFailure, Failure, InvalidRequest } from "../domain/Failure.ts"
import type { RequestId, SynthesisId, VoiceId } from "../domain/Ids.ts"
import type { PcmChunk } from "../domain/PcmChunk.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { codePoints } from "../domain/SpeakRequest.ts"
import { merge } from "../domain/SpeechParams.ts"
import type { SpeechParams } from "../domain/SpeechParams.ts"
import { notReady } from "../domain/Voice.ts"
import type { Voice } from "../domain/Voice.ts"
import { estimate } from "../domain/WordTimes.ts"
import { Accounting } from "./Accounting.ts"
import type { HoldFacts } from "./Accounting.ts"
import type { Dispatched } from "./Dispatch.ts"
import { makeId } from "./Ids.ts"
import { PolicyResolver } from "./PolicyResolver.ts"
import { RateLimits } from "./RateLimits.ts"
import { RelayDispatcher } from "./RelayDispatcher.ts"
import { ScaiInferDispatcher } from "./ScaiInferDispatcher.ts"
import { step } from "./Trace.ts"
import { VoiceRepo } from "./VoiceRepo.ts"

export interface SynthesisRequest {
  readonly requestId: RequestId
  readonly caller: AuthUser
  readonly text: string
  readonly voiceId: VoiceId
  /** ISO 639-1; the voice's primary language when absent. */
  readonly languageHint?: string | undefined
  readonly params: SpeechParams
  readonly preference: BackendPreference
  /** Whether chunks carry word times: the engine's own, else estimated ones with the last chunk. */
  readonly wordTimes: boolean
  readonly tags: ReadonlyArray<string>
}

/** What was decided, known before the first byte of audio is passed on. */
export interface SynthesisPlan {
  readonly synthesisId: SynthesisId
  readonly voice: Voice
  readonly backend: Backend
  readonly nodeId: string | null
  readonly engine: string
  readonly model: string
  /** Hz, of the audio. */
  readonly sampleRate: number
  /** Code points. */
  readonly characters: number
  /** Wire names of parameters that were given and are not honoured. */
  readonly ignoredParams: ReadonlyArray<string>
  /** Why this backend, one sentence each. */
  readonly reasons: ReadonlyArray<string>
}

/** What can break the audio after it has begun. */
export type SpeechFailure = DispatchFailure | InvalidRequest

export interface Speech {
  readonly plan: SynthesisPlan
  /** To be run once. Its first chunk is already here. */
  readonly audio: Stream.Stream<PcmChunk, SpeechFailure>
}

export class Synthesis extends Context.Service<Synthesis, {
  readonly speak: (request: SynthesisRequest) => Effect.Effect<Speech, Failure, Scope.Scope>
}>()("scaispeak/Synthesis") {
  static readonly layer = Layer.effect(
    Synthesis,
    Effect.gen(function*() {
      const policies = yield* PolicyResolver
      const voices = yield* VoiceRepo
      const limits = yield* RateLimits
      const accounting = yield* Accounting
      const dispatchers = { A: yield* ScaiInferDispatcher, B: yield* RelayDispatcher }

      const speak = Effect.fnUntraced(function*(request: SynthesisRequest) {
        const { caller } = request
        const policy = yield* policies.resolve(caller.tenantId).pipe(step("synthesis.policy"))
        const voice = yield* voices.find(caller, request.voiceId).pipe(step("synthesis.voice"))
        const refusal = notReady(voice)
        if (refusal !== undefined) return yield* refusal
        yield* limits.check(caller)

        const synthesisId = yield* makeId("syn")
        const characters = codePoints(request.text)
        const { facts } = yield* accounting.hold({ ...request, synthesisId, characters })

        const decision = decide(policy, request.preference, {
          A: dispatchers.A.availability(voice),
          B: dispatchers.B.availability(voice)
        })
        if (decision.candidates.length === 0) return yield* new BackendUnavailable({ reasons: decision.reasons })

        const startedAt = yield* Clock.currentTimeMillis
        const heard = yield* firstHeard(decision.candidates, (backend) => {
          facts.backend = backend
          return attempt(
            dispatchers[backend].dispatch({
              requestId: synthesisId,
              text: request.text,
              voice,
              language: request.languageHint ?? voice.languagePrimary,
              params: merge(voice.defaults, request.params)
            }).pipe(step("synthesis.dispatch", { backend })),
            backend
          )
        }).pipe(Effect.tapError((failure) => Effect.sync(() => fail(facts, failure))))
        const { dispatched } = heard
        facts.firstAudioMs = (yield* Clock.currentTimeMillis) - startedAt
        facts.nodeId = dispatched.nodeId
        facts.engine = dispatched.engine
        facts.model = dispatched.model

        const plan: SynthesisPlan = {
          synthesisId,
          voice,
          characters,
          backend: dispatched.backend,
          nodeId: dispatched.nodeId,
          engine: dispatched.engine,
          model: dispatched.model,
          sampleRate: dispatched.sampleRate,
          ignoredParams: dispatched.ignoredParams,
          reasons: decision.reasons
        }
        const metered = meter(heard, facts)
        return { plan, audio: request.wordTimes ? withWordTimes(metered, request.text, facts) : metered }
      }, step("Synthesis.speak"))

      return Synthesis.of({ speak })
    })
  )
}

type AudioPull = Pull.Pull<readonly [PcmChunk, ...Array<PcmChunk>], SpeechFailure>

/** A backend that has been heard: its first chunks, and how to get the rest. */
interface Heard {
  readonly dispatched: Dispatched
  readonly first: readonly [PcmChunk, ...Array<PcmChunk>]
  readonly pull: AudioPull
}

/** Tries backends in order until one is heard; a refusal that another backend cannot mend ends the search. */
const firstHeard = Effect.fnUntraced(function*(
  [backend, ...others]: ReadonlyArray<Backend>,
  attempt: (backend: Backend) => Effect.Effect<Heard, SpeechFailure, Scope.Scope>
): Effect.fn.Return<Heard, SpeechFailure, Scope.Scope> {
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
const attempt = (
  dispatch: Effect.Effect<Dispatched, SpeechFailure, Scope.Scope>,
  backend: Backend
): Effect.Effect<Heard, SpeechFailure, Scope.Scope> =>
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
): Effect.Effect<readonly [PcmChunk, ...Array<PcmChunk>], SpeechFailure> =>
  Effect.catchIf(
    Effect.flatMap(pull, (chunks) =>
      chunks.some(({ pcm }) => pcm.length > 0)
        ? Effect.succeed(chunks)
        : Effect.map(firstSound(pull, backend), (more) => [...chunks, ...more] as const)),
    Cause.isDone,
    () => Effect.fail(new BackendFailed({ backend, cause: new Error("The backend ended without sound.") }))
  ) as Effect.Effect<readonly [PcmChunk, ...Array<PcmChunk>], SpeechFailure>

/** Passes audio on, keeping the account of it. */
const meter = ({ dispatched, first, pull }: Heard, facts: HoldFacts) => {
  let bytes = 0
  const count = (chunks: readonly [PcmChunk, ...Array<PcmChunk>]) => {
    for (const { pcm } of chunks) bytes += pcm.length
    facts.audioMs = millisOfBytes(bytes, dispatched.sampleRate)
    return chunks
  }
  let early: Heard["first"] | undefined = first
  const next: AudioPull = Effect.suspend(() => {
    if (early === undefined) return Effect.map(pull, count)
    const chunks = early
    early = undefined
    return Effect.succeed(count(chunks))
  })
  return Stream.fromPull(Effect.succeed(next)).pipe(
    Stream.onExit((exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) facts.outcome = "completed"
        else {
          const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
          if (failure !== undefined) fail(facts, failure)
        }
      })
    )
  )
}

const fail = (facts: HoldFacts, failure: Pick<Failure, "code">) => {
  facts.outcome = "failed"
  facts.errorCode = failure.code
}

/** Where the backend gave no word times, estimates them once the length is known and sends them with a last, empty chunk. */
const withWordTimes = (audio: Stream.Stream<PcmChunk, SpeechFailure>, text: string, facts: HoldFacts) => {
  let native = false
  return audio.pipe(
    Stream.tap(({ words }) => Effect.sync(() => (native ||= words.length > 0))),
    Stream.concat(
      Stream.suspend(() =>
        native ? Stream.empty : Stream.make({ pcm: new Uint8Array(0), words: estimate(text, facts.audioMs ?? 0) })
      )
    )
  )
}
