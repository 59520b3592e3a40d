/**
 * From a text that may be spoken to its first sound: pick, dispatch, first audio. Everything that has to be asked before,
 * and held while it speaks, has been.
 */
import { Clock, Effect, Scope } from "effect"
import { decide } from "../../domain/BackendPolicy.ts"
import type { Availability, Backend, BackendPolicy, BackendPreference } from "../../domain/BackendPolicy.ts"
import { BackendUnavailable } from "../../domain/Failure.ts"
import type { SynthesisId } from "../../domain/Ids.ts"
import { merge } from "../../domain/SpeechParams.ts"
import type { SpeechParams } from "../../domain/SpeechParams.ts"
import type { Voice } from "../../domain/Voice.ts"
import type { HoldFacts } from "../Accounting.ts"
import type { Dispatched, DispatchRefusal } from "../Dispatch.ts"
import type { RelayDispatcher } from "../RelayDispatcher.ts"
import type { RunningCall } from "../RunningVoices.ts"
import type { ScaiInferDispatcher } from "../ScaiInferDispatcher.ts"
import type { Speech, SynthesisPlan } from "../Synthesis.ts"
import { step } from "../Trace.ts"
import { firstHeard, hear } from "./FirstSound.ts"
import type { Route } from "./FirstSound.ts"
import { fail, meter, withWordTimes } from "./Meter.ts"
import { stoppable } from "./Stoppable.ts"
import { takingOver } from "./Takeover.ts"

export interface Text {
  readonly synthesisId: SynthesisId
  readonly policy: BackendPolicy
  readonly voice: Voice
  readonly text: string
  /** Code points. */
  readonly characters: number
  readonly languageHint?: string | undefined
  readonly params: SpeechParams
  readonly preference: BackendPreference
  readonly wordTimes: boolean
  /** The only backend that may speak it. */
  readonly only?: Backend | undefined
  /** It rather fails than goes on behind a gap. */
  readonly unbroken?: boolean | undefined
}

export interface Begin {
  /** Where a call would go now, best first; fails when it could go nowhere. */
  readonly decided: (
    text: Pick<Text, "policy" | "preference" | "voice" | "only">
  ) => Effect.Effect<ReturnType<typeof decide>, BackendUnavailable>
  /** Runs until `call` is stopped or `scope`, where the backends work, closes. Takes down in `facts` what it comes to. */
  readonly begin: (
    text: Text,
    call: RunningCall,
    scope: Scope.Scope,
    facts: HoldFacts
  ) => Effect.Effect<Omit<Speech, "onStop">, DispatchRefusal>
}

export const make = (
  dispatchers: { readonly A: ScaiInferDispatcher["Service"]; readonly B: RelayDispatcher["Service"] },
  firstAudioTimeoutMs: number
): Begin => {
  const decided: Begin["decided"] = ({ only, policy, preference, voice }) => {
    const availability = (backend: Backend) =>
      only === undefined || only === backend ? dispatchers[backend].availability(voice) : anotherSpeaks
    const decision = decide(policy, preference, { A: availability("A"), B: availability("B") })
    return decision.candidates.length === 0
      ? Effect.fail(new BackendUnavailable({ reasons: decision.reasons }))
      : Effect.succeed(decision)
  }

  const begin: Begin["begin"] = Effect.fnUntraced(function*(request, call, scope, facts) {
    const { synthesisId, text, voice } = request
    const decision = yield* decided(request)
    const language = request.languageHint ?? voice.languagePrimary
    const params = merge(voice.defaults, request.params)
    const reasons = facts.reasons = [...decision.reasons]
    const route: Route = {
      candidates: decision.candidates,
      tried: new Set(),
      otherNodes: () => decision.candidates.includes("A") ? dispatchers.A.otherNodes(voice, route.tried) : 0,
      note: (sentence) => reasons.push(sentence),
      attempt: (backend: Backend, text, attempt) => {
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
    const first = yield* firstHeard(route, text, firstAudioTimeoutMs).pipe(
      Scope.provide(scope),
      Effect.tapError((failure) => Effect.sync(() => fail(facts, failure)))
    )
    facts.firstAudioMs = (yield* Clock.currentTimeMillis) - startedAt
    settleAs(first.dispatched)
    const heard = takingOver(first, scope, {
      route,
      text,
      language,
      voice,
      firstAudioMsMax: firstAudioTimeoutMs,
      unbroken: request.unbroken === true,
      onTakeover: settleAs
    })
    const { dispatched } = first
    const plan: SynthesisPlan = {
      synthesisId,
      voice,
      characters: request.characters,
      backend: dispatched.backend,
      nodeId: dispatched.nodeId,
      engine: dispatched.engine,
      model: dispatched.model,
      sampleRate: dispatched.sampleRate,
      ignoredParams: dispatched.ignoredParams,
      reasons
    }
    const metered = meter(heard, facts)
    return {
      plan,
      backend: () => facts.backend!,
      audio: request.wordTimes ? withWordTimes(metered, text, facts) : metered
    }
  })

  return { begin, decided }
}

const anotherSpeaks: Availability = { available: false, reason: "the rest is spoken by the other backend" }
