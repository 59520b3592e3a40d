/**
 * What a session has been told to say: text as it comes, cut into segments, and how much of it has gone where. Offsets and
 * counts are code points of all text that was ever sent.
 */
import { make as makeSegmenter } from "../../domain/Segmenter.ts"
import type { Segment } from "../../domain/Segmenter.ts"
import { codePoints } from "../../domain/SpeakRequest.ts"
import { textBufferMax } from "../../domain/stream/ClientFrame.ts"

const isHigh = (unit: number) => (unit & 0xfc00) === 0xd800
const isLow = (unit: number) => (unit & 0xfc00) === 0xdc00

export class Script {
  readonly #segmenter
  #received = 0
  /** Up to the last flush. */
  #flushed = 0
  #begun = 0
  #utterance = 1
  /** The last delta ended within a surrogate pair. */
  #half = false

  /** `language`: ISO 639-1. */
  constructor(language: string) {
    this.#segmenter = makeSegmenter(language)
  }

  get received(): number {
    return this.#received
  }

  /** What a backend was given; dropped text counts as said. */
  get begun(): number {
    return this.#begun
  }

  /** Number of the utterance that text belongs to now, from 1. */
  get utterance(): number {
    return this.#utterance
  }

  /** Text that is in no segment yet. */
  get pending(): string {
    return this.#segmenter.pending
  }

  /** The segments that a delta completes; undefined when too much text would wait, and then it is not taken. */
  push(delta: string): ReadonlyArray<Segment> | undefined {
    // A pair whose halves come in two deltas is one code point.
    const isJoined = this.#half && isLow(delta.charCodeAt(0))
    const received = this.#received + codePoints(delta) - (isJoined ? 1 : 0)
    if (received - this.#begun > textBufferMax) return undefined
    this.#received = received
    if (delta !== "") this.#half = isHigh(delta.charCodeAt(delta.length - 1))
    return this.#segmenter.push(delta)
  }

  /** What is left becomes segments. */
  rest(): ReadonlyArray<Segment> {
    return this.#segmenter.flush()
  }

  /** Ends the utterance. Gives whether any text came for it. */
  flushed(): boolean {
    const hadText = this.#received > this.#flushed
    this.#flushed = this.#received
    this.#utterance++
    return hadText
  }

  /** A segment up to this offset was given to a backend. */
  beginUpTo(end: number): void {
    this.#begun = end
  }

  /** What was not said will not be. */
  drop(): void {
    this.#segmenter.reset()
    this.#flushed = this.#begun = this.#received
    this.#utterance++
  }
}
