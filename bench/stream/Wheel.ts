/** Anything that is to be done at a time, by one timer. */
import { monotonicMillis } from "../monotonicMillis.ts"

export class Wheel {
  readonly #due = new Map<number, Array<() => void>>()
  #next = Math.ceil(monotonicMillis())
  readonly #timer = setInterval(() => this.#turn(), 1)

  /** `atMs`: of {@link monotonicMillis}. */
  at(atMs: number, act: () => void): void {
    const slot = Math.max(this.#next, Math.ceil(atMs))
    const acts = this.#due.get(slot)
    if (acts === undefined) this.#due.set(slot, [act])
    else acts.push(act)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #turn(): void {
    for (const now = monotonicMillis(); this.#next <= now;) {
      const acts = this.#due.get(this.#next)
      this.#due.delete(this.#next++)
      for (const act of acts ?? []) act()
    }
  }
}
