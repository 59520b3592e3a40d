/**
 * Reads a server-streaming gRPC call as batches of messages: whatever has arrived, in order, never more than grpc-js
 * has buffered (16 messages). While nobody takes, HTTP/2 flow control holds the node back; while somebody waits and
 * nothing comes for too long, the take fails.
 */
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js"
import { Cause, Effect, Schema } from "effect"

/** Nothing came for this long, in ms, although somebody waited. */
export class Silence extends Schema.TaggedError<Silence>()("Silence", { waitedMs: Schema.Number }) {}

/** The next messages (at least one), the call's end as `Cause.Done`, or its error. */
export type Take<A> = Effect.Effect<readonly [A, ...Array<A>], ServiceError | Silence | Cause.Done>

/** How to wait when nothing is there yet. */
export interface Waiting {
  /** Longest wait, in ms. */
  readonly silenceMsMax: number
  /** Take the first message the moment it comes, for the first audio; else what comes in one turn of the event loop together. */
  readonly eager: boolean
}

export const make = <A>(call: ClientReadableStream<A>): (waiting: Waiting) => Take<A> => {
  let wake: (() => void) | undefined
  let eager = true
  let end: Effect.Effect<never, ServiceError | Silence | Cause.Done> | undefined
  const notify = () => {
    const waiting = wake
    wake = undefined
    waiting?.()
  }
  // Messages that came in one packet become readable one by one; waking once a turn of the event loop takes them
  // together, and the surface writes them together.
  let waking = false
  call.on("readable", () => {
    if (eager) return notify()
    if (waking) return
    waking = true
    setImmediate(() => {
      waking = false
      notify()
    })
  })
  call.on("end", () => {
    // A failed call ends too; its error comes after the end and must win.
    setImmediate(() => {
      unwatch()
      end ??= Cause.done()
      notify()
    })
  })
  call.on("error", (error: ServiceError) => {
    unwatch()
    end = Effect.fail(error)
    notify()
  })

  const drain = (): readonly [A, ...Array<A>] | undefined => {
    const first = call.read() as A | null
    if (first === null) return undefined
    const batch: [A, ...Array<A>] = [first]
    for (let next = call.read() as A | null; next !== null; next = call.read() as A | null) batch.push(next)
    return batch
  }

  // A plain timer, that goes on while there is something to read and is not looked at then: racing each take against a clock
  // costs two fibers a batch.
  let timer: { readonly ms: number; readonly id: NodeJS.Timeout } | undefined
  let isLate = false
  const watch = (ms: number) => {
    if (timer?.ms === ms) return timer.id.refresh()
    clearTimeout(timer?.id)
    const id = setTimeout(() => {
      if (wake === undefined) return
      isLate = true
      notify()
    }, ms)
    timer = { ms, id }
  }
  const unwatch = () => {
    clearTimeout(timer?.id)
    timer = undefined
  }
  const wait = ({ silenceMsMax, ...waiting }: Waiting) =>
    Effect.callback<void, Silence>((resume) => {
      eager = waiting.eager
      watch(silenceMsMax)
      wake = () => {
        if (!isLate) return resume(Effect.void)
        isLate = false
        resume(Effect.fail(new Silence({ waitedMs: silenceMsMax })))
      }
      return Effect.sync(() => {
        unwatch()
        wake = undefined
      })
    })

  const take = (waiting: Waiting): Take<A> =>
    Effect.suspend(() => {
      const batch = drain()
      if (batch !== undefined) return Effect.succeed(batch)
      if (end !== undefined) return end
      return Effect.andThen(wait(waiting), take(waiting))
    })
  return take
}
