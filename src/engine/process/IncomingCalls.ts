/**
 * The calls that a node has given to an engine's process: what came of each, how much of it its listener took, and
 * whether that still listens. A call is one of these until the process has ended it, however that ends.
 */
import { Cause, Effect, Queue, Stream } from "effect"
import { InvalidRequest } from "../../domain/Failure.ts"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import type { SynthesizeRequest } from "../../proto/scaiinfer/v1/audio.ts"
import { EngineFailed } from "../Engine.ts"
import { type FromProcess, type ToProcess, windowBytes } from "./Protocol.ts"

export interface IncomingCallsOptions {
  readonly send: (message: ToProcess) => void
  /** Whether the process owes somebody something may have changed. */
  readonly changed: () => void
  readonly cancelMillisMax: number
  /** A cancelled call has not ended in time. */
  readonly overdue: () => void
}

interface Call {
  readonly id: number
  /** Bounded by the window that the process keeps to. */
  readonly chunks: Queue.Queue<PcmChunk, EngineFailed | InvalidRequest | Cause.Done>
  untakenBytes: number
  /** Once nobody listens. */
  deadline?: NodeJS.Timeout
}

export class IncomingCalls {
  /** Whether a call ever ended well. */
  served = false
  readonly #options: IncomingCallsOptions
  readonly #calls = new Map<number, Call>()
  #ids = 0
  #lost: EngineFailed | undefined

  constructor(options: IncomingCallsOptions) {
    this.#options = options
  }

  /** Those that nobody listens to any more included. */
  readonly size = (): number => this.#calls.size

  /** Whether there is a listener whom the process keeps waiting, rather than the other way round. */
  isAwaited(): boolean {
    return [...this.#calls.values()].some(({ deadline, untakenBytes }) =>
      deadline === undefined && untakenBytes < windowBytes
    )
  }

  /** Interrupting it cancels the call inside the process. */
  speak(request: SynthesizeRequest): Stream.Stream<PcmChunk, EngineFailed | InvalidRequest> {
    return Stream.unwrap(Effect.map(
      Effect.acquireRelease(Effect.sync(() => this.#begin(request)), (call) => Effect.sync(() => this.#leave(call))),
      (call) => Stream.tap(Stream.fromQueue(call.chunks), ({ pcm }) => Effect.sync(() => this.#take(call, pcm.length)))
    ))
  }

  hear(message: Extract<FromProcess, { readonly id: number }>): void {
    const call = this.#calls.get(message.id)
    if (call === undefined) return
    if (message.type === "audio") {
      call.untakenBytes += message.pcm.length
      if (call.deadline === undefined) Queue.offerUnsafe(call.chunks, { pcm: message.pcm, words: message.words })
      return
    }
    this.#calls.delete(call.id)
    clearTimeout(call.deadline)
    if (message.type !== "done") return fail(call, failureOf(message))
    this.served ||= call.deadline === undefined
    Queue.endUnsafe(call.chunks)
  }

  /** The process is gone: its calls fail, and so does each that comes. */
  lose(reason: string): void {
    this.#lost = new EngineFailed({ reason })
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    for (const call of calls) {
      clearTimeout(call.deadline)
      fail(call, this.#lost)
    }
  }

  #begin(request: SynthesizeRequest): Call {
    const call: Call = { id: ++this.#ids, chunks: Effect.runSync(Queue.unbounded()), untakenBytes: 0 }
    if (this.#lost !== undefined) {
      fail(call, this.#lost)
      return call
    }
    this.#calls.set(call.id, call)
    this.#options.send({ type: "speak", id: call.id, request })
    this.#options.changed()
    return call
  }

  #take(call: Call, bytes: number): void {
    const kept = call.untakenBytes >= windowBytes
    call.untakenBytes -= bytes
    this.#options.send({ type: "taken", id: call.id, bytes })
    if (kept) this.#options.changed()
  }

  #leave(call: Call): void {
    if (!this.#calls.has(call.id)) return
    this.#options.send({ type: "cancel", id: call.id })
    call.deadline = setTimeout(this.#options.overdue, this.#options.cancelMillisMax)
    this.#options.changed()
  }
}

const fail = (call: Call, failure: EngineFailed | InvalidRequest): void => {
  Queue.failCauseUnsafe(call.chunks, Cause.fail(failure))
}

const failureOf = (message: Extract<FromProcess, { readonly type: "refused" | "failed" }>) =>
  message.type === "refused"
    ? InvalidRequest.field(message.field, message.message)
    : new EngineFailed({ reason: message.reason })
