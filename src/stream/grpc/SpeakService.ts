/** `scaispeak.v1.SpeakService`: what each method needs, and how its messages come in and go out. */
import { Metadata, status } from "@grpc/grpc-js"
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation
} from "@grpc/grpc-js"
import { Effect } from "effect"
import { InvalidRequest, isFailure, PayloadTooLarge } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import { frameBytesMax } from "../../domain/stream/ClientFrame.ts"
import { SpeakServiceService } from "../../proto/scaispeak/v1/speak.ts"
import type * as wire from "../../proto/scaispeak/v1/speak.ts"
import * as Calls from "./Calls.ts"
import * as LiveSession from "./LiveSession.ts"
import * as Sink from "./Sink.ts"
import * as Speak from "./Speak.ts"
import { statusOfCode } from "./Status.ts"
import * as Voices from "./Voices.ts"

/** A text of the most code points, and what is said about it. */
const requestBytesMax = 1 << 20

/** The library would answer what does not decode as an INTERNAL of its own. */
const bounded = <A>(decode: (bytes: Buffer) => A, bytesMax: number) => (bytes: Buffer): A | Failure => {
  if (bytes.length > bytesMax) {
    return new PayloadTooLarge({ field: "message", reason: `must be at most ${bytesMax} bytes` })
  }
  try {
    return decode(bytes)
  } catch {
    return InvalidRequest.field("message", "must be protobuf")
  }
}

/** Streamed messages are encoded by who writes them: the definition's encoder would copy them once more. */
const asIs = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const { getJob, listVoices, speak, stream } = SpeakServiceService
export const SpeakService = {
  speak: { ...speak, requestDeserialize: bounded(speak.requestDeserialize, requestBytesMax), responseSerialize: asIs },
  stream: { ...stream, requestDeserialize: bounded(stream.requestDeserialize, frameBytesMax), responseSerialize: asIs },
  getJob,
  listVoices: { ...listVoices, requestDeserialize: bounded(listVoices.requestDeserialize, frameBytesMax) }
}

export const make = Effect.fnUntraced(function*(options: { readonly stallMs: number; readonly drainMs: number }) {
  const calls = yield* Calls.make(options)
  const speak = yield* Speak.make
  const live = yield* LiveSession.make
  const list = yield* Voices.make
  const given = <A>(message: A | Failure) => isFailure(message) ? Effect.fail(message) : Effect.succeed(message as A)

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

    listVoices: (
      call: ServerUnaryCall<wire.ListVoicesRequest | Failure, wire.ListVoicesResponse>,
      reply: sendUnaryData<wire.ListVoicesResponse>
    ) =>
      calls.run(
        call,
        { action: "grpc.listVoices", permission: "scaispeak:voice.read" },
        (caller) => Effect.flatMap(given(call.request), (request) => list(request, caller)),
        (page, requestId) => {
          call.sendMetadata(Sink.headOf(requestId))
          reply(null, page)
        },
        (failed) => reply(failed)
      ),

    getJob: (_call: unknown, reply: sendUnaryData<wire.GetJobResponse>) =>
      reply({ code: status.UNIMPLEMENTED, details: "texts are not spoken later here", metadata: new Metadata() })
  }
  return { service, draining: calls.draining }
})
