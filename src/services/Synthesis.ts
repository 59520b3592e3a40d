/**
 * The one pipeline: every surface that makes sound hands `Synthesis` a decoded request and takes back a plan and PCM.
 *
 * Steps, in order: policy → voice → guards → limits and holds → pick → dispatch → first audio; settling follows when the
 * caller's scope closes. A refusal at any step has touched no backend and leaves no hold. Closing the scope, at any time,
 * stops the backend's work. Before anything is heard a call may move to another node or to the next allowed backend; after
 * that only to one that goes on in the same voice. A voice that is stopped ends its calls, wherever they are, as
 * `VoiceNotReady`.
 *
 * A session takes the same steps: what concerns its caller once, at the beginning, and what concerns a text for each text.
 */
import { Context, Effect, Exit, Layer, Scope } from "effect"
import type { Stream } from "effect"
import type { Backend, BackendPreference } from "../domain/BackendPolicy.ts"
import { BackendUnavailable } from "../domain/Failure.ts"
import type { Failure, VoiceNotReady } from "../domain/Failure.ts"
import type { LicenceId, RequestId, SynthesisId, VoiceId } from "../domain/Ids.ts"
import type { PcmChunk } from "../domain/PcmChunk.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { codePoints } from "../domain/SpeakRequest.ts"
import type { SpeechParams } from "../domain/SpeechParams.ts"
import { backendsOf, notReady } from "../domain/Voice.ts"
import type { Voice } from "../domain/Voice.ts"
import { Accounting } from "./Accounting.ts"
import type { HoldFacts, SessionHold } from "./Accounting.ts"
import type { DispatchRefusal } from "./Dispatch.ts"
import { held } from "./Held.ts"
import { makeId } from "./Ids.ts"
import { Licences } from "./Licences.ts"
import { PolicyResolver } from "./PolicyResolver.ts"
import { RateLimits } from "./RateLimits.ts"
import { RelayDispatcher } from "./RelayDispatcher.ts"
import { RunningVoices } from "./RunningVoices.ts"
import { ScaiInferDispatcher } from "./ScaiInferDispatcher.ts"
import * as Begin from "./Synthesis/Begin.ts"
import { fail } from "./Synthesis/Meter.ts"
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
  /** Who speaks now: another than planned once it was taken over from. */
  readonly backend: () => Backend
  /** To be run once. Its first chunk is already here. */
  readonly audio: Stream.Stream<PcmChunk, DispatchRefusal>
  /**
   * Calls `react` when the voice is stopped. The audio fails then, too, but only whoever pulls it sees that: a surface that
   * waits for its client, with audio on the way, has to break off by itself.
   */
  readonly onStop: (react: () => void) => void
}

/** Voices whose rate is remembered. */
const ratesMax = 10_000

/** What all texts of a session have in common. */
export type SessionRequest = Omit<SynthesisRequest, "text">

/** A voice that a caller speaks in, text after text. */
export interface SpeechSession {
  readonly voice: Voice
  /** ISO 639-1. */
  readonly language: string
  /** Where the first text would go, if it came now. */
  readonly backend: Backend
  /** Hz that this voice has spoken at last in this process; undefined before. */
  readonly sampleRate: () => number | undefined
  /** Speaks one text. Closing its scope stops the backend's work on it and on nothing else. */
  readonly say: (text: string) => Effect.Effect<Omit<Speech, "onStop">, Failure, Scope.Scope>
  /** Calls `react` when the voice is stopped: its texts fail, and so will whatever is said next. */
  readonly onStop: (react: (failure: VoiceNotReady) => void) => void
  /** How the session ended: to be written to before its scope closes; unset: the client went away. */
  readonly ended: SessionHold["ended"]
}

export class Synthesis extends Context.Service<Synthesis, {
  readonly speak: (request: SynthesisRequest) => Effect.Effect<Speech, Failure, Scope.Scope>
  /** Holds the caller's place until the scope closes, which ends whatever is being said. */
  readonly open: (request: SessionRequest) => Effect.Effect<SpeechSession, Failure, Scope.Scope>
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
        const { begin, decided } = Begin.make(
          { A: yield* ScaiInferDispatcher, B: yield* RelayDispatcher },
          options.firstAudioTimeoutMs
        )

        /** Hz that voices spoke at last; the one that was first heard of longest ago makes room. */
        const rates = new Map<VoiceId, number>()
        const heardAt = (voiceId: VoiceId, sampleRate: number) => {
          if (rates.size >= ratesMax && !rates.has(voiceId)) rates.delete(rates.keys().next().value!)
          rates.set(voiceId, sampleRate)
        }

        /** What forbids a voice that is ready: nothing is held, and nothing asked but what is remembered. */
        const guards = (voice: Voice) => licences.check(voice).pipe(step("synthesis.guards"))

        const permitted = Effect.fnUntraced(function*(caller: AuthUser, voiceId: VoiceId) {
          const voice = yield* voices.toSpeak(caller, voiceId).pipe(step("synthesis.voice"))
          const refusal = notReady(voice)
          if (refusal !== undefined) return yield* refusal
          yield* guards(voice)
          return voice
        })

        /** What is asked of a call and of a session before anything is counted or held. */
        const entered = Effect.fnUntraced(function*({ caller, voiceId }: SessionRequest) {
          const policy = yield* policies.resolve(caller.tenantId).pipe(step("synthesis.policy"))
          // Before the voice is looked at: whoever stops it afterwards finds this call.
          const call = yield* running.enter(voiceId)
          const voice = yield* permitted(caller, voiceId)
          return { policy, call, voice }
        })

        const holding = Effect.fnUntraced(function*(request: SynthesisRequest, voice: Voice, characters: number) {
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
          const { call, policy, voice } = yield* entered(request)
          const characters = codePoints(request.text)
          const { facts, synthesisId } = request.partOf ?? (yield* holding(request, voice, characters))
          call.onStop.push((failure) => facts.outcome === undefined && fail(facts, failure))
          const speech = yield* begin({ ...request, synthesisId, policy, voice, characters }, call, call.scope, facts)
          return { ...speech, onStop: (react: () => void) => call.onStop.push(react) }
        }, step("Synthesis.speak"))

        const open = Effect.fnUntraced(function*(request: SessionRequest): Effect.fn.Return<
          SpeechSession,
          Failure,
          Scope.Scope
        > {
          const { caller } = request
          const { call, policy, voice } = yield* entered(request)
          yield* limits.check(caller)
          const { candidates } = yield* decided({ ...request, policy, voice })
          const synthesisId = yield* makeId("syn")
          const hold = yield* accounting.holdSession({ ...request, synthesisId })
          const spoken = new Set<HoldFacts>()
          call.onStop.push((failure) => {
            fail(hold.ended, failure)
            for (const facts of spoken) fail(facts, failure)
          })

          const say = Effect.fnUntraced(function*(text: string) {
            const characters = codePoints(text)
            const [policy, voice] = yield* Effect.all([
              policies.resolve(caller.tenantId),
              permitted(caller, request.voiceId)
            ])
            const facts = yield* hold.text(characters)
            yield* held(
              Effect.sync(() => spoken.add(facts)),
              () => Effect.sync(() => spoken.delete(facts))
            )
            yield* licences.hold(voice, characters, facts).pipe(step("synthesis.licence"))
            const scope = yield* held(Scope.fork(call.scope), (scope) => Scope.close(scope, Exit.void))
            const speech = yield* begin(
              { ...request, synthesisId, text, policy, voice, characters },
              call,
              scope,
              facts
            )
            heardAt(request.voiceId, speech.plan.sampleRate)
            return speech
          }, step("Synthesis.say"))

          return {
            voice,
            language: request.languageHint ?? voice.languagePrimary,
            backend: candidates[0]!,
            sampleRate: () => rates.get(request.voiceId),
            say,
            onStop: (react) => call.onStop.push(react),
            ended: hold.ended
          }
        }, step("Synthesis.open"))

        return Synthesis.of({
          speak,
          open,
          admit,
          permit: (caller, voiceId) =>
            Effect.andThen(policies.resolve(caller.tenantId), Effect.asVoid(permitted(caller, voiceId)))
        })
      })
    )
}
