/**
 * The one pipeline: every surface that makes sound hands `Synthesis` a decoded request and takes back a plan and PCM.
 *
 * Steps, in order: policy → voice → limits and hold → pick → dispatch → first audio; settling follows when the caller's
 * scope closes. A refusal at any step has touched no backend and leaves no hold. Closing the scope, at any time, stops
 * the backend's work. A call moves to the next allowed backend only while nothing of it has been heard.
 */
import { Clock, Context, Effect, Layer } from "effect"
import type { Scope, Stream } from "effect"
import { decide } from "../domain/BackendPolicy.ts"
import type { Backend, BackendPreference } from "../domain/BackendPolicy.ts"
import { BackendUnavailable } from "../domain/Failure.ts"
import type { Failure } from "../domain/Failure.ts"
import type { RequestId, SynthesisId, VoiceId } from "../domain/Ids.ts"
import type { PcmChunk } from "../domain/PcmChunk.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { codePoints } from "../domain/SpeakRequest.ts"
import { merge } from "../domain/SpeechParams.ts"
import type { SpeechParams } from "../domain/SpeechParams.ts"
import { notReady } from "../domain/Voice.ts"
import type { Voice } from "../domain/Voice.ts"
import { Accounting } from "./Accounting.ts"
import type { DispatchRefusal } from "./Dispatch.ts"
import { makeId } from "./Ids.ts"
import { PolicyResolver } from "./PolicyResolver.ts"
import { RateLimits } from "./RateLimits.ts"
import { RelayDispatcher } from "./RelayDispatcher.ts"
import { ScaiInferDispatcher } from "./ScaiInferDispatcher.ts"
import { attempt, firstHeard } from "./Synthesis/FirstSound.ts"
import { fail, meter, withWordTimes } from "./Synthesis/Meter.ts"
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

export interface Speech {
  readonly plan: SynthesisPlan
  /** To be run once. Its first chunk is already here. */
  readonly audio: Stream.Stream<PcmChunk, DispatchRefusal>
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
