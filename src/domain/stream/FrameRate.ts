/** How many control frames came in the last second. */

/** Everything but text, in any second. */
export const controlFramesMax = 20
const windowMillis = 1000

export class FrameRate {
  readonly #times = new Float64Array(controlFramesMax).fill(-Infinity)
  #next = 0

  /** Counts one; whether it is one too many. */
  isOver(now: number): boolean {
    const over = now - this.#times[this.#next]! < windowMillis
    this.#times[this.#next] = now
    this.#next = (this.#next + 1) % controlFramesMax
    return over
  }
}
