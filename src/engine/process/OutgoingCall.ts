/** One call inside an engine's process: what it made, what the listener has of it, and whether anybody still listens. */
import type { SynthesizeRequest } from "../../proto/scaiinfer/v1/audio.ts"
import { type Out, type Piece, type PlacedWord, Refused } from "./Model.ts"
import { type FromProcess, windowBytes } from "./Protocol.ts"

export class OutgoingCall implements Out {
  readonly id: number
  readonly request: SynthesizeRequest
  cancelled = false
  readonly #post: (message: FromProcess) => void
  readonly #samplesPerMilli: number
  /** Samples that are cut from the start. */
  readonly #trim: number
  /** Samples, those cut included. */
  #made = 0
  #pieceStart = 0
  #untakenBytes = 0
  #proceed = () => {}

  constructor(id: number, request: SynthesizeRequest, sampleRate: number, post: (message: FromProcess) => void) {
    this.id = id
    this.request = request
    this.#post = post
    this.#samplesPerMilli = sampleRate / 1000
    this.#trim = Math.round((request.params?.warmupTrimMs ?? 0) * this.#samplesPerMilli)
  }

  /** Waits until the listener has room for a piece. */
  room(): Promise<void> {
    if (this.#hasRoom()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#proceed = resolve
    })
  }

  async make(piece: Piece): Promise<void> {
    this.#pieceStart = this.#made
    if (!this.cancelled) await piece(this)
  }

  readonly audio = (samples: Int16Array, words: ReadonlyArray<PlacedWord> = []): boolean => {
    if (this.cancelled) return false
    const kept = samples.subarray(Math.min(Math.max(this.#trim - this.#made, 0), samples.length))
    this.#made += samples.length
    this.#untakenBytes += kept.byteLength
    if (kept.length + words.length > 0) {
      this.#post({
        type: "audio",
        id: this.id,
        pcm: new Uint8Array(kept.buffer, kept.byteOffset, kept.byteLength),
        words: words.map(({ end, start, text }) => ({
          text,
          startMs: this.#millis(start),
          endMs: this.#millis(end),
          source: "native"
        }))
      })
    }
    return true
  }

  taken(bytes: number): void {
    this.#untakenBytes -= bytes
    if (this.#hasRoom()) this.#proceed()
  }

  cancel(): void {
    this.cancelled = true
    this.#proceed()
  }

  /** Every piece is made. Throws {@link Refused} when there is no sound. */
  end(): void {
    if (!this.cancelled && this.#made === 0) throw new Refused("text", "this voice finds nothing in it that it can say")
    if (!this.cancelled && this.#made <= this.#trim) throw new Refused("warmup_trim_ms", "leaves nothing of this text")
    this.#post({ type: "done", id: this.id })
  }

  #hasRoom(): boolean {
    return this.cancelled || this.#untakenBytes < windowBytes
  }

  #millis(sample: number): number {
    return Math.max(0, Math.round((this.#pieceStart + sample - this.#trim) / this.#samplesPerMilli))
  }
}
