/**
 * The life of one WebSocket, from the request to its close: upgraded, given to a session, and closed with 1000 or, behind an
 * `error` frame, with the code of what went wrong.
 */
import { Cause, Effect, Option } from "effect"
import { HttpServerResponse } from "effect/http"
import { isFailure, meanings, SessionTimeout, show } from "../../domain/Failure.ts"
import type { Failure, Shown } from "../../domain/Failure.ts"
import { closeCodeOf } from "../../domain/stream/CloseCode.ts"
import type { SocketClosed } from "./Inbox.ts"
import { upgrade } from "./Upgrade.ts"
import type { Connection, UpgradeOptions } from "./Upgrade.ts"

/** A client that does not take its last frame is not waited for. */
const goodbyeMillisMax = 1_000

/** The handler of a route. It fails only before there is a socket, with what the envelope answers. */
export const serve = <R>(
  options: UpgradeOptions,
  session: (connection: Connection) => Effect.Effect<void, Failure | SocketClosed, R>
) =>
  Effect.gen(function*() {
    const connection = yield* upgrade(options)
    yield* session(connection).pipe(
      Effect.tapCause((cause) => sayFailure(connection, cause)),
      Effect.mapError((error) => isFailure(error) ? closed : error)
    )
    yield* connection.close(1000)
  }).pipe(
    Effect.scoped,
    Effect.catchIf((error) => !isFailure(error), () => Effect.void),
    Effect.as(HttpServerResponse.empty())
  )

/** The socket has been told why. */
const closed = "closed" as const

const sayFailure = (connection: Connection, cause: Cause.Cause<Failure | SocketClosed>) => {
  if (Cause.hasInterrupts(cause)) return Effect.void
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error !== undefined && !isFailure(error)) return Effect.void
  const said: Effect.Effect<Shown> = error === undefined
    ? Effect.as(Effect.logError("a WebSocket failed", cause), defect)
    : Effect.succeed(show(error))
  return Effect.flatMap(said, ({ code, details, message, retryAfter, retryable }) => {
    const frame = {
      type: "error",
      code,
      message,
      retryable,
      ...(retryAfter === undefined ? {} : { retry_after: retryAfter }),
      ...(details === undefined ? {} : { details })
    }
    return connection.send(JSON.stringify(frame)).pipe(
      Effect.timeout(goodbyeMillisMax),
      Effect.ignore,
      Effect.andThen(connection.close(closeCodeOf(code), code))
    )
  })
}

const defect: Shown = {
  code: "INTERNAL_ERROR",
  message: meanings.INTERNAL_ERROR.message,
  retryable: meanings.INTERNAL_ERROR.retryable
}

/** The next frame, one at a time, each within its time. To be made once for a connection. */
export const framesOf = ({ receive }: Connection, idleMillisMax: number) => {
  const waiting: Array<string | Uint8Array> = []
  return Effect.suspend(() => {
    const frame = waiting.shift()
    if (frame !== undefined) return Effect.succeed(frame)
    return receive.pipe(
      Effect.map(([first, ...others]) => {
        waiting.push(...others)
        return first
      }),
      Effect.timeoutOrElse({
        duration: idleMillisMax,
        orElse: () => Effect.fail(new SessionTimeout({ waitedMs: idleMillisMax }))
      })
    )
  })
}
