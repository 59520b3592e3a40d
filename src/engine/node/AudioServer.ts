/**
 * `AudioService` over the engines of this node: checks a call, waits for its turn, and streams header, words, audio, done.
 *
 * A call belongs to one fiber. When the peer cancels or its deadline passes, the fiber is interrupted, and with it all
 * that is not yet made. Writing waits for the peer: what a slow reader does not take is not made.
 */
import { type sendUnaryData, type ServerUnaryCall, type ServerWritableStream } from "@grpc/grpc-js"
import { Cause, Effect, type Exit, type Fiber, Stream } from "effect"
import { InvalidRequest } from "../../domain/Failure.ts"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import {
  type AudioServiceServer,
  AudioServiceService,
  EngineState,
  type GetInfoRequest,
  type GetInfoResponse,
  type ListVoicesRequest,
  type ListVoicesResponse,
  SynthesizeEvent,
  type SynthesizeRequest
} from "../../proto/scaiinfer/v1/audio.ts"
import { makeCutter } from "../Chunks.ts"
import type { Engine } from "../Engine.ts"
import type { Admission } from "./Admission.ts"
import type { References } from "./References.ts"
import { broken, draining, EngineNotLoaded, EngineNotReady, type Refusal, type Status, statusOf } from "./Status.ts"

type Call = ServerWritableStream<SynthesizeRequest, SynthesizeEvent>

export interface AudioServerOptions {
  readonly nodeId: string
  readonly version: string
  readonly capacity: number
  /** The first is the node's own choice. */
  readonly engines: ReadonlyArray<Engine>
  readonly admission: Admission
  readonly references: References
  /** Starts a call's fiber in the node's scope. */
  readonly fork: (call: Effect.Effect<void, Refusal>) => Fiber.Fiber<void, Refusal>
}

/** The generated definition copies every message twice; the encoder's own bytes are as good. */
export const AudioService = {
  ...AudioServiceService,
  synthesize: {
    ...AudioServiceService.synthesize,
    responseSerialize: (event: SynthesizeEvent): Buffer => {
      const bytes = SynthesizeEvent.encode(event).finish()
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
  }
}

/** What the node says of itself, asked or by heartbeat. */
export const infoOf = (options: AudioServerOptions): GetInfoResponse => ({
  nodeId: options.nodeId,
  version: options.version,
  engines: options.engines.map(({ abilities, languages, model, modelVersion, name, state, stateReason }) => ({
    engine: name,
    model,
    modelVersion,
    languages: [...languages],
    abilities,
    state,
    stateReason
  })),
  load: {
    capacity: options.capacity,
    active: options.admission.active(),
    queued: options.admission.queued()
  },
  draining: options.admission.draining(),
  heldReferences: options.references.held()
})

export const make = (options: AudioServerOptions): AudioServiceServer => ({
  synthesize: (call: Call) => {
    const fiber = options.fork(Effect.tapCause(synthesize(options, call), (cause) => logBreak(call, cause)))
    call.once("cancelled", () => fiber.interruptUnsafe())
    fiber.addObserver((exit) => end(call, exit))
  },
  getInfo: (_call: ServerUnaryCall<GetInfoRequest, GetInfoResponse>, reply: sendUnaryData<GetInfoResponse>) =>
    reply(null, infoOf(options)),
  listVoices: (
    _call: ServerUnaryCall<ListVoicesRequest, ListVoicesResponse>,
    reply: sendUnaryData<ListVoicesResponse>
  ) =>
    reply(null, {
      voices: options.engines.filter(({ state }) => state === EngineState.READY).flatMap((engine) =>
        engine.presets.map(({ description, displayName, gender, languages, name, styleTags }) => ({
          engine: engine.name,
          name,
          displayName,
          description,
          languages: [...languages],
          gender,
          styleTags: [...styleTags]
        }))
      )
    })
})

/** What no node can speak is refused first, whatever the load: the caller should not try another. */
const synthesize = Effect.fnUntraced(function*(options: AudioServerOptions, call: Call) {
  const { request } = call
  const engine = engineOf(options.engines, request.engine)
  if (engine === undefined) return yield* Effect.fail(new EngineNotLoaded())
  yield* checkParams(request)
  const speech = yield* engine.speak(yield* options.references.fill(request)).pipe(
    Effect.catchTag(
      "EngineFailed",
      ({ reason }) => Effect.fail(new EngineNotReady(`engine ${engine.name} is not ready: ${reason}`))
    )
  )
  yield* options.admission.admit(Effect.gen(function*() {
    yield* write(call, {
      $case: "header",
      value: {
        sampleRate: speech.sampleRate,
        model: engine.model,
        modelVersion: engine.modelVersion,
        ignoredParams: [...speech.ignoredParams],
        engine: engine.name,
        deterministic: speech.deterministic
      }
    })
    const began = performance.now()
    const sent = { bytes: 0, waitedMillis: 0 }
    const cut = makeCutter()
    yield* Stream.runForEach(speech.audio, (chunk) => send(call, chunk, cut, sent))
    const value = {
      audioMs: Math.round((sent.bytes / 2 / speech.sampleRate) * 1000),
      generateMs: Math.round(performance.now() - began - sent.waitedMillis)
    }
    yield* write(call, { $case: "done", value })
  }))
})

const engineOf = (engines: ReadonlyArray<Engine>, name: string): Engine | undefined =>
  name === "" || name === "default" ? engines[0] : engines.find((engine) => engine.name === name)

/** The ranges of `SynthesisParams`, which are the same for every engine. */
const checkParams = ({ params, text }: SynthesizeRequest): Effect.Effect<void, InvalidRequest> => {
  if (text === "") return Effect.fail(InvalidRequest.field("text", "must hold something to say"))
  const speed = params?.speed ?? 1
  return speed >= 0.5 && speed <= 2 ? Effect.void : Effect.fail(InvalidRequest.field("speed", "must be 0.5 to 2"))
}

const send = Effect.fnUntraced(function*(
  call: Call,
  { pcm, words }: PcmChunk,
  cut: (pcm: Uint8Array) => Iterable<Uint8Array>,
  sent: { bytes: number; waitedMillis: number }
) {
  const began = performance.now()
  if (words.length > 0) {
    yield* write(call, {
      $case: "words",
      value: { words: words.map(({ endMs, startMs, text }) => ({ text, startMs, endMs })) }
    })
  }
  for (const part of cut(pcm)) yield* write(call, { $case: "audio", value: { pcm: part } })
  sent.bytes += pcm.length
  sent.waitedMillis += performance.now() - began
})

/** Waits for the peer to read when the stream has enough. */
const write = (call: Call, event: NonNullable<SynthesizeEvent["event"]>): Effect.Effect<void> =>
  Effect.suspend(() => (call.write({ event }) ? Effect.void : drained(call)))

const drained = (call: Call): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const done = () => resume(Effect.void)
    call.once("drain", done)
    return Effect.sync(() => call.off("drain", done))
  })

const end = (call: Call, exit: Exit.Exit<void, Refusal>): void => {
  if (exit._tag === "Success") return void call.end()
  if (call.cancelled) return
  call.emit("error", failedStatus(exit.cause))
}

/** A refusal is the caller's to read; what broke is the operator's. The text is in neither. */
const logBreak = ({ request }: Call, cause: Cause.Cause<Refusal>): Effect.Effect<void> => {
  const failure = cause.reasons.find(Cause.isFailReason)?.error
  if (failure?._tag === "EngineFailed") {
    return Effect.logError("engine failed", { requestId: request.requestId, reason: failure.reason })
  }
  return Cause.hasDies(cause) ? Effect.logError("call broke", { requestId: request.requestId }, cause) : Effect.void
}

const failedStatus = (cause: Cause.Cause<Refusal>): Status => {
  const failure = cause.reasons.find(Cause.isFailReason)
  if (failure !== undefined) return statusOf(failure.error)
  // Nobody but the node's own shutdown interrupts a call that its peer still wants.
  return Cause.hasInterruptsOnly(cause) ? draining : broken
}
