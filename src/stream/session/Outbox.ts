/**
 * What a session has for its transport, in order: not sent yet, and the last of what was sent, kept to be sent again when
 * a transport is lost.
 *
 * Items are numbered from 1 as they are taken. Kept are the last 30 s of audio, in 1 MiB at most.
 */
import type { OutputItem } from "../StreamService.ts"

export type SentFrame = (OutputItem & { readonly _tag: "frame" })["frame"]

/** ms. */
const keptMillisMax = 30_000
const keptBytesMax = 1 << 20
/** Of one `take`: what a barge-in cannot call back. Bytes. */
const takenBytesMax = 32 * 1024
/** What a frame counts as. Bytes. */
const frameBytes = 256

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
  #kept: Array<Entry> = []
  /** Number of the first kept item. */
  #keptFrom = 1
  #keptMs = 0
  #keptBytes = 0
  #pushedMs = 0
  #takenMs = 0
  #paused = false
  readonly #keeps: boolean
  #wake: (() => void) | undefined

  constructor(keeps: boolean) {
    this.#keeps = keeps
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

  /** Pieces that belong together are seen together by whoever waits. `msOf`: of audio in a piece. */
  pushAudio(pieces: ReadonlyArray<Uint8Array>, msOf: (bytes: number) => number): void {
    for (const bytes of pieces) {
      const ms = msOf(bytes.length)
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
    const taken = waiting.splice(0, count)
    if (count > 0) this.#takenMs = taken.at(-1)!.endMs
    this.#keep(taken)
    return taken.map(({ item }) => item)
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
    const index = seq + 1 - this.#keptFrom
    if (index < 0 || index > this.#kept.length) return false
    const again = this.#kept.splice(index)
    for (const entry of again) this.#forget(entry)
    this.#waiting = [...again, ...this.#waiting]
    const first = this.#waiting[0]
    this.#takenMs = first === undefined ? this.#pushedMs : first.endMs - first.ms
    return true
  }

  /** Calls `wake` once, when there is something to take or the session has ended. */
  wait(wake: () => void): void {
    this.#wake = wake
  }

  unwait(): void {
    this.#wake = undefined
  }

  wake(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  #notify(): void {
    if (this.hasNext) this.wake()
  }

  #keep(entries: ReadonlyArray<Entry>): void {
    if (!this.#keeps) return
    for (const entry of entries) {
      this.#kept.push(entry)
      this.#keptMs += entry.ms
      this.#keptBytes += bytesOf(entry)
    }
    let drop = 0
    while (this.#keptMs > keptMillisMax || this.#keptBytes > keptBytesMax) this.#forget(this.#kept[drop++]!)
    if (drop > 0) this.#kept.splice(0, drop)
    this.#keptFrom += drop
  }

  #forget(entry: Entry): void {
    this.#keptMs -= entry.ms
    this.#keptBytes -= bytesOf(entry)
  }
}
