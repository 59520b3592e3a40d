/**
 * Where a call's messages go: one at a time, each when the one before has left for the peer (HTTP/2 flow control), so that
 * what a slow client does not read is not made. A message that does not leave within the limit lets the client go.
 */
import { Metadata } from "@grpc/grpc-js"
import type { ServerSurfaceCall } from "@grpc/grpc-js/build/src/server-call.js"
import { Effect } from "effect"
import { constants } from "node:http2"
import type { ServerHttp2Stream } from "node:http2"
import type { Writable } from "node:stream"
import { ClientTooSlow } from "../../domain/Failure.ts"

export type WritableCall = ServerSurfaceCall & Writable

export interface Sink {
  /** `bytes`: an encoded message. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ClientTooSlow>
  /** Whether a message waits for the peer. */
  readonly isWaiting: () => boolean
}

/** A reply's headers leave with its first message: a call that is refused may then be retried by its client's library. */
export const make = (call: WritableCall, { requestId, stallMs }: {
  readonly requestId: string
  readonly stallMs: number
}): Sink => {
  let waiting = false
  let begun = false
  const written = (bytes: Uint8Array) =>
    Effect.callback<void>((resume) => {
      if (!begun) call.sendMetadata(headOf(requestId))
      begun = true
      waiting = true
      call.write(bytes, () => {
        waiting = false
        resume(Effect.void)
      })
    })
  return {
    isWaiting: () => waiting,
    write: (bytes) =>
      Effect.timeoutOrElse(written(bytes), {
        duration: stallMs,
        orElse: () => Effect.fail(new ClientTooSlow({ waitedMs: stallMs }))
      })
  }
}

export const headOf = (requestId: string): Metadata => {
  const head = new Metadata()
  head.set("x-request-id", requestId)
  return head
}

/** Drops whatever waits for the peer, which sees CANCELLED. The library has no way to do so: it would wait for the peer. */
export const reset = (call: ServerSurfaceCall): void => {
  const { stream } = (call as unknown as { readonly call: { readonly stream?: ServerHttp2Stream } }).call
  stream?.close(constants.NGHTTP2_CANCEL)
}
