/** Backend A: one gRPC call to an engine node. Closing the scope cancels the call, and with it the engine's work. */
import { Metadata, status } from "@grpc/grpc-js"
import type { ServiceError } from "@grpc/grpc-js"
import { Cause, Clock, Context, Effect, Layer, Stream } from "effect"
import type { Scope } from "effect"
import type { Availability } from "../domain/BackendPolicy.ts"
import {
  BackendFailed,
  BackendSaturated,
  BackendTimeout,
  BackendUnavailable,
  InvalidRequest
} from "../domain/Failure.ts"
import type { PcmChunk, SpokenWord } from "../domain/PcmChunk.ts"
import type { SynthesizeEvent, SynthesizeRequest } from "../proto/scaiinfer/v1/audio.ts"
import type { Dispatched, DispatchRefusal, DispatchRequest } from "./Dispatch.ts"
import * as EventReader from "./EventReader.ts"
import { NodeRegistry } from "./NodeRegistry.ts"

/** Seconds a queued call waits, for the caller of a full node: about one sentence each. */
const secondsPerQueuedCall = 0.1

export class ScaiInferDispatcher extends Context.Service<ScaiInferDispatcher, {
  readonly dispatch: (request: DispatchRequest) => Effect.Effect<Dispatched, DispatchRefusal, Scope.Scope>
  /** Whether a call in this voice could be dispatched now. */
  readonly availability: (voice: DispatchRequest["voice"]) => Availability
  /** Calls open now. */
  readonly active: () => number
}>()("scaispeak/ScaiInferDispatcher") {
  static readonly layer = (options: {
    /** Longest wait for the first audio of a call. */
    readonly firstAudioTimeoutMs: number
    /** Longest silence between two messages after that. */
    readonly chunkTimeoutMs: number
  }) =>
    Layer.effect(
      ScaiInferDispatcher,
      Effect.gen(function*() {
        const registry = yield* NodeRegistry
        let active = 0

        const dispatch = Effect.fnUntraced(function*(request: DispatchRequest) {
          const { preset } = request.voice
          if (preset === null) return yield* new BackendUnavailable({ reasons: [noSpeaker.reason] })
          const node = yield* registry.resolve(preset.engine)
          yield* Effect.annotateCurrentSpan({ node: node.info?.nodeId ?? node.address })
          const call = yield* Effect.acquireRelease(
            Effect.sync(() => {
              active++
              node.active++
              return node.client.synthesize(toWire(request, preset), new Metadata())
            }),
            (call) =>
              Effect.sync(() => {
                active--
                node.active--
                call.cancel()
              })
          )
          const take = EventReader.make(call)
          const deadline = (yield* Clock.currentTimeMillis) + options.firstAudioTimeoutMs
          const { header, rest } = yield* accepted(take({ silenceMsMax: options.firstAudioTimeoutMs, eager: true }))
          return {
            backend: "A" as const,
            nodeId: node.info?.nodeId ?? node.address,
            engine: header.engine,
            model: `${header.model} ${header.modelVersion}`.trim(),
            sampleRate: header.sampleRate,
            ignoredParams: header.ignoredParams,
            audio: chunks(take, rest, deadline, options.chunkTimeoutMs)
          }
        })

        return ScaiInferDispatcher.of({
          dispatch,
          availability: (voice) => voice.preset === null ? noSpeaker : registry.availability(voice.preset.engine),
          active: () => active
        })
      })
    )
}

/** An engine asked for no speaker would speak with its own: a voice is never replaced. */
const noSpeaker = { available: false, reason: "the voice is no preset of an engine" } as const

const toWire = (
  { language, params, requestId, text }: DispatchRequest,
  preset: NonNullable<DispatchRequest["voice"]["preset"]>
): SynthesizeRequest => ({
  requestId,
  engine: preset.engine,
  text,
  language,
  voice: { $case: "presetVoice", value: preset.name },
  params: {
    speed: params.speed,
    cfgValue: params.cfgValue,
    instructions: params.instructions,
    seed: params.seed,
    warmupTrimMs: params.warmupTrimMs
  }
})

/** The header is the node's yes; what came with it is kept. */
const accepted = Effect.fnUntraced(function*(take: EventReader.Take<SynthesizeEvent>) {
  const [first, ...rest] = yield* Effect.mapError(
    take,
    (error) => Cause.isDone(error) ? broken("The node ended the call without a word.") : toFailure(error)
  )
  if (first.event?.$case !== "header") return yield* broken("The node spoke before its header.")
  return { header: first.event.value, rest }
})

const chunks = (
  take: (waiting: EventReader.Waiting) => EventReader.Take<SynthesizeEvent>,
  early: ReadonlyArray<SynthesizeEvent>,
  firstAudioBy: number,
  chunkTimeoutMs: number
): Stream.Stream<PcmChunk, DispatchRefusal> => {
  let stash = early
  let heard = false
  let finished = false
  const next = Effect.suspend(() => heard ? take({ silenceMsMax: chunkTimeoutMs, eager: false }) : first)
  const first = Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => take({ silenceMsMax: Math.max(1, firstAudioBy - now), eager: true })
  )
  const pull: Effect.Effect<readonly [PcmChunk, ...Array<PcmChunk>], DispatchRefusal | Cause.Done> = Effect.suspend(
    () => {
      if (stash.length > 0) {
        const events = stash
        stash = []
        return emit(events)
      }
      return Effect.matchEffect(next, {
        onSuccess: emit,
        onFailure: (error): Effect.Effect<never, DispatchRefusal | Cause.Done> => {
          if (!Cause.isDone(error)) return Effect.fail(toFailure(error))
          // An end without `done` is a cut sentence, whatever the transport says.
          return Effect.fail(finished ? error : broken("The node stopped in mid-speech."))
        }
      })
    }
  )
  const emit = (events: ReadonlyArray<SynthesizeEvent>) => {
    const [first, ...more] = toChunks(events)
    heard ||= events.some(({ event }) => event?.$case === "audio")
    finished ||= events.some(({ event }) => event?.$case === "done")
    return first === undefined ? pull : Effect.succeed([first, ...more] as const)
  }
  return Stream.fromPull(Effect.succeed(pull))
}

const toChunks = (events: ReadonlyArray<SynthesizeEvent>): Array<PcmChunk> => {
  const chunks: Array<PcmChunk> = []
  for (const { event } of events) {
    if (event?.$case === "audio") chunks.push({ pcm: event.value.pcm, words: noWords })
    else if (event?.$case === "words") chunks.push({ pcm: noAudio, words: event.value.words.map(native) })
  }
  return chunks
}

const noWords: ReadonlyArray<SpokenWord> = []
const noAudio = new Uint8Array(0)
const native = (word: Omit<SpokenWord, "source">): SpokenWord => ({ ...word, source: "native" })

const broken = (message: string) => new BackendFailed({ backend: "A", cause: new Error(message) })

/** Fields of the request as the caller knows them, by the names that a node uses. */
const wireFields: Record<string, string> = { voice: "voice_id", language: "language_hint", text: "text" }

/** gRPC status to failure. A node names the field that it refuses in front of its reason: `language: only English`. */
const toFailure = (error: ServiceError | EventReader.Silence): DispatchRefusal => {
  if (error instanceof EventReader.Silence) return new BackendTimeout({ backend: "A", waitedMs: error.waitedMs })
  switch (error.code) {
    case status.INVALID_ARGUMENT: {
      const [, field, reason] = /^(\w+): (.*)$/su.exec(error.details) ?? []
      return InvalidRequest.field(wireFields[field ?? ""] ?? "text", reason ?? error.details)
    }
    case status.RESOURCE_EXHAUSTED: {
      const queued = Number(error.metadata.get("scaiinfer-queued")[0] ?? 0)
      return new BackendSaturated({ backend: "A", retryAfter: Math.max(1, Math.ceil(queued * secondsPerQueuedCall)) })
    }
    case status.UNAVAILABLE:
    case status.NOT_FOUND:
      return new BackendUnavailable({ reasons: [`A cannot serve the call: ${error.details}.`] })
    case status.DEADLINE_EXCEEDED:
      return new BackendTimeout({ backend: "A", waitedMs: 0 })
    default:
      return new BackendFailed({ backend: "A", cause: error })
  }
}
