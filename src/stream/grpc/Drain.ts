/** Whether the port takes new calls, and until when those that run may go on. Times: epoch ms. */
export class Drain {
  readonly #drainMs: number
  #endsAt: number | undefined

  constructor(drainMs: number) {
    this.#drainMs = drainMs
  }

  get isOn(): boolean {
    return this.#endsAt !== undefined
  }

  /** Once it has begun it goes on, however often it is begun. */
  begin(now: number): void {
    this.#endsAt ??= now + this.#drainMs
  }

  /** ms. */
  left(now: number): number {
    return Math.max((this.#endsAt ?? now + this.#drainMs) - now, 0)
  }
}
