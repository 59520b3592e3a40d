/**
 * A live session over a WebSocket: JSON texts are frames, binary ones are audio. Carries and decides nothing.
 *
 * Ends when the session does, with its close code; when the socket is lost, and then the session waits to be resumed; or
 * when nothing was opened within 10 s. What the session has at once is sent in one piece, and more is taken from it only
 * when that is written. Once a session is open, nothing that comes or goes waits for a fiber.
 */
import { Deferred, Effect } from "effect"
import type { Scope } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { InvalidRequest, isFailure, SessionTimeout } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import type { RequestId } from "../../domain/Ids.ts"
import type { AuthUser } from "../../domain/Permission.ts"
import { parseClientFrame } from "../../domain/stream/ClientFrame.ts"
import type { ClientFrame, Open } from "../../domain/stream/ClientFrame.ts"
import { closeCodeOf } from "../../domain/stream/CloseCode.ts"
import type { CloseCode } from "../../domain/stream/CloseCode.ts"
import { encodeServerFrame, errorFrame } from "../../domain/stream/ServerFrame.ts"
import type { ServerFrame } from "../../domain/stream/ServerFrame.ts"
import { StreamService } from "../StreamService.ts"
import type { OutputItem } from "../StreamService.ts"
import type { Frame } from "./Inbox.ts"

const openMillisMax = 10_000
/** What a client that does not read gets to take its `error` frame; ms. */
const farewellMillis = 500

/** A socket that a caller has. */
export interface SpeakConnection<E> {
  readonly user: AuthUser
  /** The next frames; fails when the socket is closed, by whomever. */
  readonly receive: Effect.Effect<NonEmptyReadonlyArray<Frame>, E>
  /** Hands over each frame from now on, in order; ends as `receive` does. */
  readonly listen: (hear: (frame: Frame) => void) => Effect.Effect<never, E>
  /** Sends in one piece and calls back when that is done, at once or later: a peer that does not read is waited for. */
  readonly write: (frames: ReadonlyArray<Frame>, written: () => void) => void
  /** Waits for a peer that does not read. */
  readonly send: (frame: Frame) => Effect.Effect<void>
  readonly close: (code: CloseCode, reason?: string) => Effect.Effect<void>
  /** The session was cut: breaks off what is still being sent, where it should not be heard. */
  readonly cut: (code: CloseCode) => void
  /** Whether the socket was closed by a client that is done, or lost, or what was wrong with what came over it. */
  readonly endOf: (error: E) => "left" | "lost" | Failure
  /** Whether nothing is lost when the socket is closed now. */
  waits: (waits: boolean) => void
  /** The voice, and what came of it, for the audit row. */
  resourceId: string | null
  outcome: "allowed" | "denied" | "failed"
}

const parsed = (message: Frame): ClientFrame | InvalidRequest => {
  if (typeof message !== "string") return InvalidRequest.field("frame", "must be text")
  const result = parseClientFrame(message)
  return result._tag === "Success" ? result.success : result.failure
}

export const carry = Effect.fnUntraced(
  function*<E>(connection: SpeakConnection<E>, requestId: RequestId): Effect.fn.Return<
    void,
    E,
    Scope.Scope | StreamService
  > {
    const streams = yield* StreamService
    const refuse = (failure: Failure) => {
      const code = closeCodeOf(failure.code)
      connection.outcome = code === 4403 ? "denied" : "failed"
      return Effect.andThen(connection.send(wire(errorFrame(failure))), connection.close(code, failure.code))
    }

    connection.waits(true)
    const first = yield* Effect.timeoutOption(connection.receive, openMillisMax)
    if (first._tag === "None") return yield* refuse(new SessionTimeout({ waitedMs: openMillisMax }))
    connection.waits(false)
    const [message, ...early] = first.value
    const open = parsed(message)
    if (isFailure(open)) return yield* refuse(open)
    if (open.type !== "open") return yield* refuse(InvalidRequest.field("type", "the first frame must be open"))
    connection.resourceId = open.voiceId

    const opened = yield* Effect.result(streams.open(connection.user, requestId, open as Open))
    if (opened._tag === "Failure") return yield* refuse(opened.failure)
    const session = opened.success
    const cut = yield* Deferred.make<void>()
    session.onCut(({ closeCode }) => {
      connection.cut(closeCode)
      Deferred.doneUnsafe(cut, Effect.void)
    })
    yield* Effect.annotateCurrentSpan("session", session.ready.sessionId)
    yield* connection.send(wire(session.ready))

    const hear = (message: Frame) => {
      const frame = parsed(message)
      session.receive(!isFailure(frame) && frame.type === "open" ? openedAlready : frame)
    }
    early.forEach(hear)
    const reading = connection.listen(hear)
    const writing = session.pump((items, written) => connection.write(items.map(wireItem), written))
    // A client that does not read is not waited for.
    const broken = Effect.andThen(Deferred.await(cut), Effect.sleep(farewellMillis))
    yield* Effect.raceFirst(Effect.raceFirst(reading, writing), broken).pipe(
      Effect.tapError((error) => {
        const end = connection.endOf(error)
        if (end === "lost") return Effect.void
        // Nobody comes back for what it still has to say.
        session.receive(end === "left" ? { type: "close", mode: "abort" } : end)
        return Effect.ignore(Effect.forever(session.take))
      })
    )
    const { closeCode, reason } = session.ending()
    if (closeCode !== 1000) connection.outcome = "failed"
    yield* connection.close(closeCode, reason)
  }
)

const wire = (frame: ServerFrame) => JSON.stringify(encodeServerFrame(frame))

const wireItem = (item: OutputItem) => item._tag === "audio" ? item.bytes : wire(item.frame)

const openedAlready = InvalidRequest.field("type", "the session is open already")
