/**
 * What a session has for its transport, in order: not sent yet, and what was sent last ({@link Kept}). Items are numbered
 * from 1 as they are taken.
 */
import { millisOfFrame } from "../../domain/stream/StreamOutput.ts"
import type { StreamOutput } from "../../domain/stream/StreamOutput.ts"
import type { OutputItem } from "../StreamService.ts"
import { frameBytes, Kept } from "./Kept.ts"

export type SentFrame = (OutputItem & { readonly _tag: "frame" })["frame"]

/** Of one `take`: what a barge-in cannot call back. Bytes. */
const takenBytesMax = 32 * 1024

interface Entry {
  readonly item: OutputItem
  /** Of audio. */
  readonly ms: number
  /** Stream time behind it. */
  readonly endMs: number
}

const bytesOf = ({ item }: Entry) => (item._tag === "audio" ? item.bytes.length : frameBytes)

export class Outbox {
  #waiting: Array<Entry> = []
  #pushedMs = 0
  #takenMs = 0
  #paused = false
  /** Undefined where nothing is ever sent again. */
  #kept: Kept | undefined
  readonly #msOf: (bytes: number) => number
  #wake: (() => void) | undefined

  constructor({ keeps, output }: { readonly keeps: boolean; readonly output: StreamOutput }) {
    this.#msOf = (bytes) => millisOfFrame(output, bytes)
    this.#kept = keeps ? new Kept(this.#msOf) : undefined
  }

  /** Stream time behind everything that was pushed, in ms. */
  get pushedMs(): number {
    return this.#pushedMs
  }

  /** Stream time behind everything that was taken, in ms. */
  get takenMs(): number {
    return this.#takenMs
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  /** Whether a `take` would give something. */
  get hasNext(): boolean {
    return this.#waiting.length > 0 && !(this.#paused && this.#waiting[0]!.item._tag === "audio")
  }

  /** Whether somebody waits for it. */
  get isAwaited(): boolean {
    return this.#wake !== undefined
  }

  /** Audio is held back, and what comes after it. */
  set paused(paused: boolean) {
    this.#paused = paused
    this.#notify()
  }

  pushFrame(frame: SentFrame): void {
    this.#waiting.push({ item: { _tag: "frame", frame }, ms: 0, endMs: this.#pushedMs })
    this.#notify()
  }

  /** Pieces that belong together are seen together by whoever waits. */
  pushAudio(pieces: ReadonlyArray<Uint8Array>): void {
    for (const bytes of pieces) {
      const ms = this.#msOf(bytes.length)
      this.#pushedMs += ms
      this.#waiting.push({ item: { _tag: "audio", bytes }, ms, endMs: this.#pushedMs })
    }
    this.#notify()
  }

  /** Up to 32 KiB, at least one item if there is any. */
  take(): ReadonlyArray<OutputItem> {
    const waiting = this.#waiting
    let count = 0
    for (let bytes = 0; count < waiting.length && bytes < takenBytesMax; count++) {
      const entry = waiting[count]!
      if (this.#paused && entry.item._tag === "audio") break
      bytes += bytesOf(entry)
    }
    if (count === 0) return nothing
    this.#takenMs = waiting[count - 1]!.endMs
    const taken: Array<OutputItem> = []
    for (let i = 0; i < count; i++) {
      const { item } = waiting[i]!
      taken.push(item)
      this.#kept?.push(item)
    }
    waiting.splice(0, count)
    return taken
  }

  /**
   * Drops what was not taken, but for what `left` makes of its frames. Stream time goes on from what was taken.
   * `droppedMs`: of audio that was dropped before the frame.
   */
  drop(left: (frame: SentFrame, droppedMs: number) => SentFrame | undefined): void {
    const takenMs = this.#takenMs
    this.#pushedMs = takenMs
    this.#waiting = this.#waiting.flatMap(({ endMs, item }): Array<Entry> => {
      const frame = item._tag === "frame" ? left(item.frame, endMs - takenMs) : undefined
      return frame === undefined ? [] : [{ item: { _tag: "frame", frame }, ms: 0, endMs: takenMs }]
    })
  }

  /** The next take gives what came after item number `seq`. False when that is not kept any more, or was never sent. */
  rewind(seq: number): boolean {
    const again = this.#kept?.takeBack(seq)
    if (again === undefined) return false
    const entries = again.toReversed().map((item): Entry => {
      const ms = item._tag === "audio" ? this.#msOf(item.bytes.length) : 0
      const endMs = this.#takenMs
      this.#takenMs -= ms
      return { item, ms, endMs }
    })
    this.#waiting = [...entries.toReversed(), ...this.#waiting]
    return true
  }

  /** Nothing will be sent again. */
  forget(): void {
    this.#kept?.clear()
    this.#kept = undefined
  }

  /** Calls `wake` once, when there is something to take or the session has ended. */
  wait(wake: () => void): void {
    this.#wake = wake
  }

  /** Whoever waits now may be another. */
  unwait(wake: () => void): void {
    if (this.#wake === wake) this.#wake = undefined
  }

  wake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #notify(): void {
    if (this.hasNext) this.wake()
  }
}

const nothing: ReadonlyArray<OutputItem> = []
