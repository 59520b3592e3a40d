/** `Stream`: a live session over one call. Carries and decides nothing; half-closing is `close` with mode `drain`. */
import type { ServerDuplexStream } from "@grpc/grpc-js"
import { Cause, Deferred, Effect } from "effect"
import { InvalidRequest, isFailure, SessionTimeout } from "../../domain/Failure.ts"
import type { Code, Failure } from "../../domain/Failure.ts"
import type { ClientFrame } from "../../domain/stream/ClientFrame.ts"
import * as wire from "../../proto/scaispeak/v1/speak.ts"
import { StreamService } from "../StreamService.ts"
import type { Caller } from "./Calls.ts"
import { clientFrameOf, serverFrameOf } from "./Frames.ts"
import { reset } from "./Sink.ts"
import type { Sink } from "./Sink.ts"
import { next } from "./Source.ts"

const openMillisMax = 10_000
/** What a client that does not read gets to take its last frames; ms. */
const farewellMillis = 500

/**
 * Clients that cancel may half-close first (Node's do), in the same breath; ms. A session that is to wait for another call is
 * not closed by that.
 */
const resetMillis = 200

/** A message that came in, or why it is none. */
export type Incoming = wire.ClientFrame | Failure
type Call = ServerDuplexStream<Incoming, Uint8Array>

const frameOf = (message: Incoming): ClientFrame | Failure => {
  if (isFailure(message)) return message
  const result = clientFrameOf(message)
  return result._tag === "Success" ? result.success : result.failure
}

/** Succeeds with the code of what ended the session, or nothing after a good end. */
export const make = Effect.gen(function*() {
  const streams = yield* StreamService

  return Effect.fnUntraced(function*(call: Call, caller: Caller, sink: Sink) {
    const first = yield* Effect.timeoutOrElse(next(call), {
      duration: openMillisMax,
      orElse: () => Effect.fail(new SessionTimeout({ waitedMs: openMillisMax }))
    })
    const open = first === null ? notOpened : frameOf(first)
    if (isFailure(open)) return yield* Effect.fail(open)
    if (open.type !== "open") return yield* notOpened
    caller.resourceId = open.voiceId
    const resumable = call.metadata.get("scaispeak-resumable")[0] === "true"
    const session = yield* streams.open(caller.user, caller.requestId, open, { resumable })
    const cut = yield* Deferred.make<void>()
    session.onCut(() => Deferred.doneUnsafe(cut, Effect.void))

    const send = (message: wire.ServerFrame) => sink.write(wire.ServerFrame.encode(message).finish())
    yield* send(serverFrameOf(session.ready))
    const reading = Effect.gen(function*() {
      while (true) {
        const message = yield* next(call)
        if (message === null) break
        const frame = frameOf(message)
        session.receive(!isFailure(frame) && frame.type === "open" ? openedAlready : frame)
      }
      if (resumable) yield* Effect.sleep(resetMillis)
      session.receive({ type: "close", mode: "drain" })
      return yield* Effect.never
    })
    const writing = Effect.forever(
      Effect.flatMap(session.take, (items) =>
        Effect.forEach(
          items,
          (item) =>
            send(item._tag === "audio" ? { frame: { $case: "audio", value: item.bytes } } : serverFrameOf(item.frame)),
          { discard: true }
        ))
    ).pipe(Effect.catchIf(Cause.isDone, () => Effect.void))
    // A client that does not read is not waited for.
    const broken = Effect.andThen(Deferred.await(cut), Effect.sleep(farewellMillis))
    yield* Effect.raceFirst(Effect.raceFirst(reading, writing), broken)
    if (sink.isWaiting()) reset(call)
    const { closeCode, reason } = session.ending()
    return closeCode === 1000 ? undefined : reason as Code
  })
})

const notOpened = InvalidRequest.field("frame", "the first frame must be open")
const openedAlready = InvalidRequest.field("frame", "the session is open already")
