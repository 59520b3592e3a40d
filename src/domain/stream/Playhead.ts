/**
 * Where the listener of a live session is, in ms of stream time: by its own reports, and between them, or without any, by
 * the clock since the audio was sent. A listener is never further than what was sent, and waits there for more.
 *
 * `now`: ms of any steady clock, never going back.
 */
export class Playhead {
  /** The listener was here … */
  #atMs = 0
  /** … then. */
  #since = 0
  #sentMs = 0
  #floorMs = 0
  #paused = false

  /** Stream time of everything that was sent. */
  get sentMs(): number {
    return this.#sentMs
  }

  at(now: number): number {
    return this.#paused ? this.#atMs : Math.min(this.#sentMs, this.#atMs + now - this.#since)
  }

  /** Audio was sent up to here. */
  sent(ms: number, now: number): void {
    this.#move(this.at(now), now)
    this.#sentMs = ms
  }

  /** The listener says where it is. What it says of audio from before the last interrupt is late. */
  report(ms: number, now: number): void {
    if (ms >= this.#floorMs) this.#move(Math.min(ms, this.#sentMs), now)
  }

  pause(now: number): void {
    this.#move(this.at(now), now)
    this.#paused = true
  }

  resume(now: number): void {
    this.#move(this.at(now), now)
    this.#paused = false
  }

  /** The listener throws away what it has: next it hears what is sent next. */
  skip(now: number): void {
    this.#move(this.#sentMs, now)
    this.#floorMs = this.#sentMs
    this.#paused = false
  }

  /** Sent audio was lost on the way: it is sent again from here. */
  rewind(sentMs: number, now: number): void {
    this.#move(Math.min(this.at(now), sentMs), now)
    this.#sentMs = sentMs
    this.#floorMs = Math.min(this.#floorMs, sentMs)
  }

  #move(ms: number, now: number): void {
    this.#atMs = ms
    this.#since = now
  }
}
