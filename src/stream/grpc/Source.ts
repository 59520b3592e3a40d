/** Where a call's messages come from: each is read when it is asked for, and the call is not read further than that. */
import type { ServerReadableStream } from "@grpc/grpc-js"
import { Effect } from "effect"

type ReadableCall<A> = Pick<ServerReadableStream<A, unknown>, "on" | "off" | "read" | "readableEnded">

/** The next message; null once the client has half-closed. */
export const next = <A>(call: ReadableCall<A>): Effect.Effect<A | null> =>
  Effect.callback((resume) => {
    const stop = () => call.off("readable", attempt).off("end", ended)
    const ended = () => {
      stop()
      resume(Effect.succeed(null))
    }
    const attempt = () => {
      const message = call.read() as A | null
      if (message === null) return
      stop()
      resume(Effect.succeed(message))
    }
    if (call.readableEnded) return ended()
    call.on("readable", attempt).on("end", ended)
    attempt()
    return Effect.sync(stop)
  })
