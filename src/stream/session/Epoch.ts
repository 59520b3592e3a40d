/**
 * What is to be spoken between two interrupts, and whether it still may be. Fencing is one flag: an epoch that is not
 * `live` pushes nothing, whatever its fiber is doing when the flag falls.
 */
import { Effect } from "effect"
import type { Fiber, Scope } from "effect"
import type { InvalidRequest } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import type { Segment } from "../../domain/Segmenter.ts"
import type { SpokenSegment } from "../../domain/stream/Heard.ts"
import type { Speech } from "../../services/Synthesis.ts"

/** A segment that a backend has begun to speak, or refuses to. */
export type Begun =
  | { readonly speech: Omit<Speech, "onStop">; readonly scope: Scope.Closeable }
  | { readonly refused: InvalidRequest }

export interface SegmentWork {
  readonly _tag: "segment"
  readonly segment: Segment
  readonly utterance: number
  /** ms, of the frame that completed it. */
  readonly receivedAt: number
  /** It is being begun ahead of its turn. */
  ahead?: Fiber.Fiber<Begun, Failure>
}

export interface FlushWork {
  readonly _tag: "flush"
  readonly id: string | undefined
  /** Whether any text came for it. */
  readonly hadText: boolean
}

export type Work = SegmentWork | FlushWork | { readonly _tag: "end" }

/** What a fiber may wait for: something to do, the listener to move, room in the outbox. */
export type Awaited = "work" | "pace" | "room"

export class Epoch {
  live = true
  /** In order; the first is being done. */
  readonly queue: Array<Work> = []
  /** Given to a backend, oldest first. */
  readonly spoken: Array<SpokenSegment> = []
  /** Of the utterance that is being spoken: code points given to a backend, and the stream time at which it began. */
  utterance = { characters: 0, startMs: 0 }
  fiber: Fiber.Fiber<void> | undefined
  #waiting: { readonly what: Awaited; readonly resume: () => void } | undefined

  /** Resumes at the next {@link notify} of this kind. Its one fiber waits for one thing at a time. */
  readonly until = (what: Awaited): Effect.Effect<void> =>
    Effect.callback<void>((resume) => {
      this.#waiting = { what, resume: () => resume(Effect.void) }
      return Effect.sync(() => (this.#waiting = undefined))
    })

  notify(what: Awaited): void {
    const waiting = this.#waiting
    if (waiting?.what !== what) return
    this.#waiting = undefined
    waiting.resume()
  }

  get nextSegment(): SegmentWork | undefined {
    const next = this.queue[0]
    return next?._tag === "segment" ? next : undefined
  }

  /** Text that is in the queue. */
  get queuedText(): string {
    return this.queue.map((work) => work._tag === "segment" ? work.segment.text : "").join("")
  }

  get openFlushes(): ReadonlyArray<FlushWork> {
    return this.queue.filter((work) => work._tag === "flush")
  }
}
