/**
 * Backend A: one gRPC call to an engine node. Closing the scope cancels the call, and with it the engine's work.
 *
 * A reference clip goes along only where the node does not hold it already; a node that was thought to hold it and does
 * not is sent it whole.
 */
import { Metadata } from "@grpc/grpc-js"
import { Cause, Clock, Context, Effect, Layer } from "effect"
import type { Scope } from "effect"
import { needOf } from "../domain/AudioNode.ts"
import type { Availability } from "../domain/BackendPolicy.ts"
import { BackendUnavailable } from "../domain/Failure.ts"
import type { SynthesizeRequest } from "../proto/scaiinfer/v1/audio.ts"
import type { Attempt, Dispatched, DispatchRefusal, DispatchRequest } from "./Dispatch.ts"
import * as EventReader from "./EventReader.ts"
import { held } from "./Held.ts"
import { NodeRegistry } from "./NodeRegistry.ts"
import type { AudioNode } from "./NodeRegistry/AudioNode.ts"
import { ReferenceCache } from "./ReferenceCache.ts"
import { broken, isDisconnected, isFailing, isNotHeld, toFailure } from "./ScaiInferDispatcher/NodeFailure.ts"
import type { NodeError } from "./ScaiInferDispatcher/NodeFailure.ts"
import { speechOf } from "./ScaiInferDispatcher/SpeechStream.ts"

type Clip = Effect.Success<ReturnType<ReferenceCache["Service"]["get"]>>
type Voice = DispatchRequest["voice"]

export class ScaiInferDispatcher extends Context.Service<ScaiInferDispatcher, {
  readonly dispatch: (
    request: DispatchRequest,
    attempt: Attempt
  ) => Effect.Effect<Dispatched, DispatchRefusal, Scope.Scope>
  /** Whether a call in this voice could be dispatched now. */
  readonly availability: (voice: Voice) => Availability
  /** Nodes that could take a call in this voice and were not tried yet. */
  readonly otherNodes: (voice: Voice, tried: ReadonlySet<string>) => number
  /** Calls open now. */
  readonly active: () => number
}>()("scaispeak/ScaiInferDispatcher") {
  static readonly layer = (options: {
    /** Longest silence between two messages after the first audio, ms. */
    readonly chunkTimeoutMs: number
    /** Engine kind of cloned and designed voices; `default`: the best that a node has. */
    readonly engine: string
  }) =>
    Layer.effect(
      ScaiInferDispatcher,
      Effect.gen(function*() {
        const registry = yield* NodeRegistry
        const references = yield* ReferenceCache
        let active = 0

        const open = (node: AudioNode, request: SynthesizeRequest) =>
          held(
            Effect.sync(() => {
              active++
              node.running++
              return node.client.synthesize(request, new Metadata())
            }),
            (call) =>
              Effect.sync(() => {
                active--
                node.running--
                call.cancel()
              })
          )

        /** What a call's end says about the node, and to the caller. */
        const failed = (node: AudioNode) => (error: NodeError) =>
          Effect.suspend(() => {
            if (isFailing(error)) registry.note(node, "failure")
            return Effect.andThen(
              isDisconnected(error) ? registry.lost(node, error.details) : Effect.void,
              Effect.fail(toFailure(error))
            )
          })

        /** The node's yes, and what came with it; a clip that it does not hold after all is sent whole. */
        const begin = Effect.fnUntraced(function*(
          node: AudioNode,
          request: SynthesizeRequest,
          clip: Clip | undefined,
          silenceMsMax: number
        ) {
          const inline = clip !== undefined && !node.holds(clip.sha256)
          const take = EventReader.make(yield* open(node, inline ? withClip(request, clip) : request))
          const accepted = Effect.map(take({ silenceMsMax, eager: true }), (events) => ({ events, take }))
          if (clip === undefined) return yield* accepted
          if (!inline) {
            return yield* Effect.catchIf(accepted, isNotHeld, () =>
              Effect.gen(function*() {
                node.setHeld(clip.sha256, false)
                const again = EventReader.make(yield* open(node, withClip(request, clip)))
                return { events: yield* again({ silenceMsMax, eager: true }), take: again }
              }))
          }
          return yield* Effect.tap(accepted, () => Effect.sync(() => node.setHeld(clip.sha256, true)))
        })

        const dispatch = Effect.fnUntraced(function*(request: DispatchRequest, attempt: Attempt) {
          const { reference } = request.voice
          const asked = needOf(request.voice, options.engine)
          if (asked === undefined) return yield* unavailable(registry.availability(asked))
          const clip = asked.kind === "cloning" ? yield* references.get(reference!) : undefined
          const need = asked.kind === "cloning" ? { ...asked, sha256: clip!.sha256 } : asked
          const chosen = yield* registry.pick(need, attempt.tried)
          if (chosen === undefined) return yield* unavailable(registry.availability(need, attempt.tried))
          const { engine, node, reason } = chosen
          attempt.tried.add(node.address)
          attempt.note(`Node ${node.name} is asked: ${reason}.`)
          yield* Effect.annotateCurrentSpan({ node: node.name })
          const deadline = (yield* Clock.currentTimeMillis) + attempt.firstAudioMsMax
          const { events: [first, ...rest], take } = yield* Effect.catch(
            begin(node, toWire(request, engine, clip), clip, attempt.firstAudioMsMax),
            (error) => failed(node)(Cause.isDone(error) ? broken("The node ended the call without a word.") : error)
          )
          if (first.event?.$case !== "header") return yield* failed(node)(broken("The node spoke before its header."))
          const header = first.event.value
          return {
            backend: "A" as const,
            nodeId: node.name,
            engine: header.engine,
            model: `${header.model} ${header.modelVersion}`.trim(),
            sampleRate: header.sampleRate,
            ignoredParams: header.ignoredParams,
            deterministic: header.deterministic,
            audio: speechOf(take, rest, deadline, options.chunkTimeoutMs, {
              onFirstAudio: () => registry.note(node, "success"),
              onFailure: failed(node)
            })
          }
        })

        return ScaiInferDispatcher.of({
          dispatch,
          availability: (voice) => registry.availability(needOf(voice, options.engine)),
          otherNodes: (voice, tried) => {
            const need = needOf(voice, options.engine)
            return need === undefined ? 0 : registry.count(need, tried)
          },
          active: () => active
        })
      })
    )
}

const unavailable = (state: Availability) =>
  new BackendUnavailable({
    reasons: [`A cannot serve the call: ${state.available ? "no node is left" : state.reason}.`]
  })

const noAudio = new Uint8Array(0)

const toWire = (
  { language, params, requestId, text, voice }: DispatchRequest,
  engine: string,
  clip: Clip | undefined
): SynthesizeRequest => ({
  requestId,
  engine,
  text,
  language,
  voice: clip !== undefined
    ? {
      $case: "reference",
      value: { pcm: noAudio, transcript: voice.reference?.transcript ?? "", sha256: clip.sha256 }
    }
    : voice.preset !== null
    ? { $case: "presetVoice", value: voice.preset.name }
    : { $case: "designPrompt", value: voice.designPrompt! },
  params: {
    speed: params.speed,
    cfgValue: params.cfgValue,
    instructions: params.instructions,
    seed: params.seed,
    warmupTrimMs: params.warmupTrimMs
  }
})

const withClip = (request: SynthesizeRequest, { pcm }: Clip): SynthesizeRequest =>
  request.voice?.$case === "reference"
    ? { ...request, voice: { $case: "reference", value: { ...request.voice.value, pcm } } }
    : request
