/**
 * What comes over one socket, for one reader: in batches that are waited for or, from a moment on, frame by frame as they
 * come, which takes no fiber and no turn of the event loop for any of them.
 *
 * Frames that nobody has read yet are held to 64 KiB; then the socket is not read. Of a peer that sends many at once 256 are
 * heard, and then it is the others' turn.
 */
import { Data, Effect } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"

/** A text, or bytes. */
export type Frame = string | Uint8Array

/** The socket is closed, by whomever. `code`: 1006 when it was lost; `cause`: what the library found wrong with what came. */
export class SocketClosed extends Data.TaggedError("SocketClosed")<{
  readonly code: number
  readonly cause?: Error | undefined
}> {}

/** Of frames that are not read; bytes, of texts UTF-16 units. */
const unreadMax = 64 * 1024
/** Frames that are heard of one socket in one turn of the event loop. */
const turnFramesMax = 256

/** Whose frames they are. */
export interface Source {
  readonly pause: () => void
  readonly resume: () => void
}

export class Inbox {
  readonly #source: Source
  #frames: Array<Frame> = []
  #unread = 0
  #isPaused = false
  #closed: SocketClosed | undefined
  /** Somebody waits for frames, or for the end. */
  #wake: (() => void) | undefined
  #hear: ((frame: Frame) => void) | undefined
  /** What it threw: it hears no more. */
  #defect: { readonly thrown: unknown } | undefined
  #turn = 0
  #heard = 0

  constructor(source: Source) {
    this.#source = source
  }

  /** The next frames, all that are there; fails once there are none and the socket is closed. */
  readonly next: Effect.Effect<NonEmptyReadonlyArray<Frame>, SocketClosed> = Effect.suspend(() => {
    if (this.#frames.length > 0) return Effect.succeed(this.#take(this.#frames.length) as [Frame, ...Array<Frame>])
    return this.#closed === undefined ? Effect.andThen(this.#change, this.next) : Effect.fail(this.#closed)
  })

  /** Hands `hear` each frame that was not read, and each that comes. Ends with the socket, or by a defect of `hear`. */
  listen(hear: (frame: Frame) => void): Effect.Effect<never, SocketClosed> {
    const end: Effect.Effect<never, SocketClosed> = Effect.suspend(() => {
      if (this.#defect !== undefined) return Effect.die(this.#defect.thrown)
      const isOver = this.#closed !== undefined && this.#frames.length === 0
      return isOver ? Effect.fail(this.#closed!) : Effect.andThen(this.#change, end)
    })
    return Effect.suspend(() => {
      this.#hear = hear
      this.#handOver()
      return Effect.ensuring(end, Effect.sync(() => (this.#hear = undefined)))
    })
  }

  push(frame: Frame): void {
    if (this.#closed !== undefined) return
    if (this.#hear !== undefined && this.#frames.length === 0 && this.#mayHear()) return this.#say(frame)
    this.#frames.push(frame)
    this.#unread += frame.length
    if (this.#unread >= unreadMax && !this.#isPaused) {
      this.#isPaused = true
      this.#source.pause()
    }
    if (this.#hear === undefined) this.#notify()
    else if (this.#frames.length === 1) this.#later()
  }

  /** Nothing comes any more; what came is still read. */
  close(closed: SocketClosed): void {
    this.#closed ??= closed
    this.#notify()
  }

  readonly #change = Effect.callback<void>((resume) => {
    this.#wake = () => resume(Effect.void)
    return Effect.sync(() => (this.#wake = undefined))
  })

  #notify(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #take(count: number): Array<Frame> {
    const taken = this.#frames.splice(0, count)
    for (const { length } of taken) this.#unread -= length
    if (this.#isPaused && this.#frames.length === 0) {
      this.#isPaused = false
      if (this.#closed === undefined) this.#source.resume()
    }
    return taken
  }

  #mayHear(): boolean {
    const turn = thisTurn()
    if (this.#turn !== turn) [this.#turn, this.#heard] = [turn, 0]
    return this.#heard++ < turnFramesMax
  }

  #say(frame: Frame): void {
    try {
      this.#hear?.(frame)
    } catch (thrown) {
      this.#hear = undefined
      this.#defect = { thrown }
      this.#notify()
    }
  }

  #later(): void {
    setImmediate(() => this.#handOver())
  }

  #handOver(): void {
    if (this.#hear === undefined) return
    for (const frame of this.#take(turnFramesMax)) this.#say(frame)
    if (this.#frames.length > 0) this.#later()
    else if (this.#closed !== undefined) this.#notify()
  }
}

let turn = 1
let isCounted = false

/** A number that the event loop's turn has to itself. */
const thisTurn = (): number => {
  if (!isCounted) {
    isCounted = true
    setImmediate(() => {
      isCounted = false
      turn++
    })
  }
  return turn
}
