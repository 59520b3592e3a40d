/**
 * The sliding log in this process: the times of a tier's last requests, oldest first.
 *
 * A time costs 8 bytes and lives a minute; logs that have gone quiet are dropped once a minute.
 */
import type { Decision, Tier, TierState } from "../RateLimits.ts"

interface Log {
  times: Array<number>
  /** Index of the oldest time that still counts. */
  head: number
}

/** Spent times in front are cut off once they are so many and half of the log. */
const spentMax = 64

export class MemoryLog {
  readonly #logs = new Map<string, Log>()
  readonly #windowMillis: number
  #sweptAt = 0
  #latest = 0

  constructor(windowMillis: number) {
    this.#windowMillis = windowMillis
  }

  /** `time` in ms; a clock that is set back stands still until it has caught up, so that the logs stay in order. */
  take(tiers: ReadonlyArray<Tier>, time: number): Decision {
    const now = this.#latest = Math.max(time, this.#latest)
    if (now - this.#sweptAt >= this.#windowMillis) this.#sweep(now)
    const logs = tiers.map((tier) => this.#open(tier.key, now))
    const allowed = tiers.every((tier, i) => used(logs[i]!) < tier.limit)
    const states = tiers.map((tier, i): TierState => {
      const log = logs[i]!
      if (allowed) {
        log.times.push(now)
        return { used: used(log), waitMillis: log.times[log.head]! + this.#windowMillis - now }
      }
      // The request `limit` back is the one that has to leave.
      const back = log.times[log.times.length - tier.limit]
      const full = used(log) >= tier.limit && back !== undefined
      return { used: used(log), waitMillis: full ? back + this.#windowMillis - now : 0 }
    })
    return { allowed, tiers: states }
  }

  get size(): number {
    return this.#logs.size
  }

  #open(key: string, now: number): Log {
    let log = this.#logs.get(key)
    if (log === undefined) this.#logs.set(key, log = { times: [], head: 0 })
    while (log.head < log.times.length && log.times[log.head]! <= now - this.#windowMillis) log.head++
    if (log.head >= spentMax && log.head * 2 >= log.times.length) {
      log.times = log.times.slice(log.head)
      log.head = 0
    }
    return log
  }

  #sweep(now: number): void {
    this.#sweptAt = now
    for (const [key, log] of this.#logs) {
      if ((log.times.at(-1) ?? 0) <= now - this.#windowMillis) this.#logs.delete(key)
    }
  }
}

const used = (log: Log): number => log.times.length - log.head
