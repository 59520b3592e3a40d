/**
 * The one pipeline: every surface that makes sound hands `Synthesis` a decoded request and takes back a plan and PCM.
 *
 * Steps, in order: policy → voice → guards → limits and holds → pick → dispatch → first audio; settling follows when the
 * caller's scope closes. A refusal at any step has touched no backend and leaves no hold. Closing the scope, at any time,
 * stops the backend's work. Before anything is heard a call may move to another node or to the next allowed backend; after
 * that only to one that goes on in the same voice. A voice that is stopped ends its calls, wherever they are, as
 * `VoiceNotReady`.
 */
import { Clock, Context, Effect, Layer, Scope } from "effect"
import type { Stream } from "effect"
import { decide } from "../domain/BackendPolicy.ts"
import type { Availability, Backend, BackendPreference } from "../domain/BackendPolicy.ts"
import { BackendUnavailable } from "../domain/Failure.ts"
import type { Failure } from "../domain/Failure.ts"
import type { LicenceId, RequestId, SynthesisId, VoiceId } from "../domain/Ids.ts"
import type { PcmChunk } from "../domain/PcmChunk.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { codePoints } from "../domain/SpeakRequest.ts"
import { merge } from "../domain/SpeechParams.ts"
import type { SpeechParams } from "../domain/SpeechParams.ts"
import { backendsOf, notReady } from "../domain/Voice.ts"
import type { Voice } from "../domain/Voice.ts"
import { Accounting } from "./Accounting.ts"
import type { HoldFacts } from "./Accounting.ts"
import type { Dispatched, DispatchRefusal } from "./Dispatch.ts"
import { makeId } from "./Ids.ts"
import { Licences } from "./Licences.ts"
import { PolicyResolver } from "./PolicyResolver.ts"
import { RateLimits } from "./RateLimits.ts"
import { RelayDispatcher } from "./RelayDispatcher.ts"
import { RunningVoices } from "./RunningVoices.ts"
import { ScaiInferDispatcher } from "./ScaiInferDispatcher.ts"
import { firstHeard, hear } from "./Synthesis/FirstSound.ts"
import type { Route } from "./Synthesis/FirstSound.ts"
import { fail, meter, withWordTimes } from "./Synthesis/Meter.ts"
import { stoppable } from "./Synthesis/Stoppable.ts"
import { takingOver } from "./Synthesis/Takeover.ts"
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
  /**
   * Of what was admitted and is accounted for as a whole: no rate is counted, nothing is held, and no usage row written. The
   * facts of this call alone are written to `facts`.
   */
  readonly partOf?: { readonly synthesisId: SynthesisId; readonly facts: HoldFacts } | undefined
  /** The only backend that may speak it, where the policy allows that one. */
  readonly only?: Backend | undefined
  /** It rather fails than goes on behind a gap, where its backend broke: the caller will ask again. */
  readonly unbroken?: boolean
}

/** A text that may be spoken later, by whatever process. */
export interface Admitted {
  readonly synthesisId: SynthesisId
  /** Which has counted the characters; null when none has to. Whoever asked gives back what is not spoken. */
  readonly licenceId: LicenceId | null
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
  /** Why this backend, and what happened on the way to it; one sentence each. */
  readonly reasons: ReadonlyArray<string>
}

export interface Speech {
  readonly plan: SynthesisPlan
  /** To be run once. Its first chunk is already here. */
  readonly audio: Stream.Stream<PcmChunk, DispatchRefusal>
  /**
   * Calls `react` when the voice is stopped. The audio fails then, too, but only whoever pulls it sees that: a surface that
   * waits for its client, with audio on the way, has to break off by itself.
   */
  readonly onStop: (react: () => void) => void
}

export class Synthesis extends Context.Service<Synthesis, {
  readonly speak: (request: SynthesisRequest) => Effect.Effect<Speech, Failure, Scope.Scope>
  /**
   * Everything that refuses a call before a backend is picked, for a text that is spoken later. A backend that is away now
   * refuses nothing; a voice that no allowed backend knows does.
   */
  readonly admit: (
    caller: AuthUser,
    voiceId: VoiceId,
    characters: number
  ) => Effect.Effect<Admitted, Failure>
  /** Whether the caller may hear the voice now, as before a call: for audio of it that was made before. */
  readonly permit: (caller: AuthUser, voiceId: VoiceId) => Effect.Effect<void, Failure>
}>()("scaispeak/Synthesis") {
  static readonly layer = (options: {
    /** Longest wait for the first audio of a call, over all backends that are asked; ms. */
    readonly firstAudioTimeoutMs: number
  }) =>
    Layer.effect(
      Synthesis,
      Effect.gen(function*() {
        const policies = yield* PolicyResolver
        const voices = yield* VoiceRepo
        const limits = yield* RateLimits
        const accounting = yield* Accounting
        const licences = yield* Licences
        const running = yield* RunningVoices
        const dispatchers = { A: yield* ScaiInferDispatcher, B: yield* RelayDispatcher }

        /** What forbids a voice that is ready: nothing is held, and nothing asked but what is remembered. */
        const guards = (voice: Voice) => licences.check(voice).pipe(step("synthesis.guards"))

        const permitted = Effect.fnUntraced(function*(caller: AuthUser, voiceId: VoiceId) {
          const voice = yield* voices.find(caller, voiceId).pipe(step("synthesis.voice"))
          const refusal = notReady(voice)
          if (refusal !== undefined) return yield* refusal
          yield* guards(voice)
          return voice
        })

        const held = Effect.fnUntraced(function*(request: SynthesisRequest, voice: Voice, characters: number) {
          yield* limits.check(request.caller)
          const synthesisId = yield* makeId("syn")
          const { facts } = yield* accounting.hold({ ...request, synthesisId, characters })
          yield* licences.hold(voice, characters, facts).pipe(step("synthesis.licence"))
          return { facts, synthesisId }
        })

        const admit = Effect.fnUntraced(function*(caller: AuthUser, voiceId: VoiceId, characters: number) {
          const policy = yield* policies.resolve(caller.tenantId)
          const voice = yield* permitted(caller, voiceId)
          const known = backendsOf(voice)
          if (!policy.allowedBackends.some((backend) => known[backend])) {
            return yield* new BackendUnavailable({ reasons: ["No backend that this tenant may use knows the voice."] })
          }
          yield* limits.check(caller)
          const licenceId = yield* licences.reserve(voice, characters)
          return { synthesisId: yield* makeId("syn"), licenceId }
        }, step("Synthesis.admit"))

        const speak = Effect.fnUntraced(function*(request: SynthesisRequest) {
          const { caller } = request
          const policy = yield* policies.resolve(caller.tenantId).pipe(step("synthesis.policy"))
          // Before the voice is looked at: whoever stops it afterwards finds this call.
          const call = yield* running.enter(request.voiceId)
          const voice = yield* permitted(caller, request.voiceId)
          const characters = codePoints(request.text)
          const { facts, synthesisId } = request.partOf ?? (yield* held(request, voice, characters))
          call.onStop.push((failure) => facts.outcome === undefined && fail(facts, failure))

          const availability = (backend: Backend) =>
            request.only === undefined || request.only === backend
              ? dispatchers[backend].availability(voice)
              : anotherSpeaks
          const decision = decide(policy, request.preference, { A: availability("A"), B: availability("B") })
          if (decision.candidates.length === 0) return yield* new BackendUnavailable({ reasons: decision.reasons })

          const language = request.languageHint ?? voice.languagePrimary
          const params = merge(voice.defaults, request.params)
          facts.reasons = [...decision.reasons]
          const route: Route = {
            candidates: decision.candidates,
            tried: new Set(),
            otherNodes: () => decision.candidates.includes("A") ? dispatchers.A.otherNodes(voice, route.tried) : 0,
            note: (sentence) => facts.reasons!.push(sentence),
            attempt: (backend, text, attempt) => {
              facts.backend = backend
              const heard = hear(
                dispatchers[backend].dispatch({ requestId: synthesisId, text, voice, language, params }, attempt).pipe(
                  step("synthesis.dispatch", { backend })
                ),
                backend,
                attempt.firstAudioMsMax
              )
              return stoppable(call, heard)
            }
          }
          const settleAs = ({ backend, engine, ignoredParams, model, nodeId }: Dispatched) =>
            Object.assign(facts, { backend, nodeId, engine, model, ignoredParams })

          const startedAt = yield* Clock.currentTimeMillis
          const first = yield* firstHeard(route, request.text, options.firstAudioTimeoutMs).pipe(
            Scope.provide(call.scope),
            Effect.tapError((failure) => Effect.sync(() => fail(facts, failure)))
          )
          facts.firstAudioMs = (yield* Clock.currentTimeMillis) - startedAt
          settleAs(first.dispatched)
          const heard = takingOver(first, call.scope, {
            route,
            text: request.text,
            language,
            voice,
            firstAudioMsMax: options.firstAudioTimeoutMs,
            unbroken: request.unbroken === true,
            onTakeover: settleAs
          })
          const { dispatched } = first

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
            reasons: facts.reasons
          }
          const metered = meter(heard, facts)
          return {
            plan,
            audio: request.wordTimes ? withWordTimes(metered, request.text, facts) : metered,
            onStop: (react: () => void) => call.onStop.push(react)
          }
        }, step("Synthesis.speak"))

        return Synthesis.of({
          speak,
          admit,
          permit: (caller, voiceId) =>
            Effect.andThen(policies.resolve(caller.tenantId), Effect.asVoid(permitted(caller, voiceId)))
        })
      })
    )
}

const anotherSpeaks: Availability = { available: false, reason: "the rest is spoken by the other backend" }
