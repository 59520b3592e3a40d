/** `scaispeak.v1.SpeakService`: what each method needs, and how its messages come in and go out. */
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation
} from "@grpc/grpc-js"
import { Effect } from "effect"
import { isFailure } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import { frameBytesMax } from "../../domain/stream/ClientFrame.ts"
import { SpeakServiceService } from "../../proto/scaispeak/v1/speak.ts"
import type * as wire from "../../proto/scaispeak/v1/speak.ts"
import * as Calls from "./Calls.ts"
import { asIs, bounded } from "./Definitions.ts"
import type { Drain } from "./Drain.ts"
import * as Jobs from "./Jobs.ts"
import * as LiveSession from "./LiveSession.ts"
import * as Sink from "./Sink.ts"
import * as Speak from "./Speak.ts"
import { statusOfCode } from "./Status.ts"
import * as Voices from "./Voices.ts"

const { getJob, listVoices, speak, stream } = SpeakServiceService

/** `bodyLimitBytes`: the largest message of one text. */
export const define = ({ bodyLimitBytes }: { readonly bodyLimitBytes: number }) => ({
  speak: { ...speak, requestDeserialize: bounded(speak.requestDeserialize, bodyLimitBytes), responseSerialize: asIs },
  stream: { ...stream, requestDeserialize: bounded(stream.requestDeserialize, frameBytesMax), responseSerialize: asIs },
  getJob: { ...getJob, requestDeserialize: bounded(getJob.requestDeserialize, frameBytesMax) },
  listVoices: { ...listVoices, requestDeserialize: bounded(listVoices.requestDeserialize, frameBytesMax) }
})

export const make = Effect.fnUntraced(function*(options: {
  readonly stallMs: number
  readonly drain: Drain
}) {
  const calls = yield* Calls.make(options)
  const speak = yield* Speak.make
  const live = yield* LiveSession.make
  const list = yield* Voices.make
  const find = yield* Jobs.make
  const given = <A>(message: A | Failure) => isFailure(message) ? Effect.fail(message) : Effect.succeed(message as A)

  const unary = <Request, Response>(
    method: Calls.Method,
    answer: (request: Request, caller: Calls.Caller) => Effect.Effect<Response, Failure>
  ) =>
  (call: ServerUnaryCall<Request | Failure, Response>, reply: sendUnaryData<Response>) =>
    calls.run(
      call,
      method,
      (caller) => Effect.flatMap(given(call.request), (request) => answer(request, caller)),
      (response, requestId) => {
        call.sendMetadata(Sink.headOf(requestId))
        reply(null, response)
      },
      (failed) => reply(failed)
    )

  const service: UntypedServiceImplementation = {
    speak: (call: ServerWritableStream<wire.SpeakRequest | Failure, Uint8Array>) =>
      calls.run(
        call,
        { action: "grpc.speak", permission: "scaispeak:synthesize" },
        (caller) =>
          Effect.flatMap(given(call.request), (request) => {
            const sink = Sink.make(call, { ...options, requestId: caller.requestId })
            return speak(request, caller, sink, () => sink.isWaiting() && Sink.reset(call))
          }),
        () => call.end(),
        (failed) => call.emit("error", failed)
      ),

    stream: (call: ServerDuplexStream<LiveSession.Incoming, Uint8Array>) =>
      calls.run(
        call,
        { action: "grpc.stream", permission: "scaispeak:synthesize" },
        (caller) => live(call, caller, Sink.make(call, { ...options, requestId: caller.requestId })),
        (code, requestId) => code === undefined ? call.end() : call.emit("error", statusOfCode(code, requestId)),
        (failed) => call.emit("error", failed)
      ),

    listVoices: unary({ action: "grpc.listVoices", permission: "scaispeak:voice.read" }, list),
    getJob: unary({ action: "grpc.getJob", permission: "scaispeak:synthesize" }, find)
  }
  return service
})
