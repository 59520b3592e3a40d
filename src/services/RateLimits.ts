/**
 * Requests a minute, over four tiers at once: API key, user, tenant, partner.
 *
 * The promise: of the requests let through, no 60 s window, wherever it begins, holds more than a tier's limit. Only a
 * log of the last `limit` requests keeps it (a bucket refilled over a minute lets nearly twice the limit through in one
 * minute, a counter per minute lets twice the limit through around its edge), so each tier is such a log: the decision
 * is "was the request that is `limit` back more than a minute ago". A refused request is not counted, in any tier.
 *
 * With Redis, the log is shared by every process, on Redis's own clock, in one round trip for all tiers. While Redis is
 * away each process holds callers to the same limits by itself: speech is worth more than an exact count, and a caller
 * still never passes a limit more often than there are processes.
 */
import { Clock, Context, Effect, Layer, Option } from "effect"
import { RateLimited } from "../domain/Failure.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { MemoryLog } from "./RateLimits/MemoryLog.ts"
import * as RedisLog from "./RateLimits/RedisLog.ts"
import { Redis } from "./Redis.ts"

/** ms. The window of every tier. */
export const windowMillis = 60_000

/** Requests a minute; 0 = no limit. */
export interface RateLimitOptions {
  readonly key: number
  readonly user: number
  readonly tenant: number
  readonly partner: number
}

/** What is left in the tier that has the least left. */
export interface RateState {
  /** Requests a minute. */
  readonly limit: number
  readonly remaining: number
  /** Until the oldest counted request leaves the window and `remaining` grows; whole seconds, rounded up. */
  readonly resetSeconds: number
}

/** One tier of one caller. */
export interface Tier {
  readonly key: string
  readonly limit: number
}

/** One tier after a decision. */
export interface TierState {
  /** Requests of the last minute, this one included if it was let through. */
  readonly used: number
  /** Let through: until the oldest counted request leaves. Refused: until this tier would take a request; 0 = now. */
  readonly waitMillis: number
}

/** The decision over all tiers: all count the request, or none does. */
export interface Decision {
  readonly allowed: boolean
  /** In the order of the tiers asked for. */
  readonly tiers: ReadonlyArray<TierState>
}

export class RateLimits extends Context.Service<RateLimits, {
  /** Counts one request. `undefined` when no limit applies to this caller. */
  readonly check: (caller: AuthUser) => Effect.Effect<RateState | undefined, RateLimited>
}>()("scaispeak/RateLimits") {
  /** Counts in Redis where there is one, else in this process. */
  static readonly layer = (options: RateLimitOptions) =>
    Layer.unwrap(Effect.map(Effect.serviceOption(Redis), (redis) =>
      Option.isNone(redis)
        ? RateLimits.layerMemory(options)
        : RateLimits.layerRedis(options).pipe(Layer.provide(Layer.succeed(Redis, redis.value)))))

  /** Counts in this process. */
  static readonly layerMemory = (options: RateLimitOptions) =>
    Layer.sync(RateLimits, () => {
      const log = new MemoryLog(windowMillis)
      return make(options, (tiers) => Effect.map(Clock.currentTimeMillis, (now) => log.take(tiers, now)))
    })

  /** Counts in Redis. `now`, in ms since 1970, replaces Redis's own clock: several processes must not pass their own. */
  static readonly layerRedis = (options: RateLimitOptions & { readonly now?: Effect.Effect<number> }) =>
    Layer.effect(
      RateLimits,
      Effect.gen(function*() {
        const redis = yield* Redis
        return make(options, RedisLog.withFallback(redis, windowMillis, options.now))
      })
    )
}

const make = (
  limits: RateLimitOptions,
  take: (tiers: ReadonlyArray<Tier>) => Effect.Effect<Decision>
): RateLimits["Service"] => ({
  check: (caller) => {
    const tiers = tiersOf(limits, caller)
    if (tiers.length === 0) return Effect.undefined
    return Effect.flatMap(take(tiers), (decision) => {
      let worst = 0
      for (let i = 1; i < tiers.length; i++) {
        if (isWorse(decision, tiers, i, worst)) worst = i
      }
      const { limit } = tiers[worst]!
      const { used, waitMillis } = decision.tiers[worst]!
      const seconds = Math.ceil(waitMillis / 1000)
      return decision.allowed
        ? Effect.succeed({ limit, remaining: limit - used, resetSeconds: seconds })
        : Effect.fail(new RateLimited({ limit, retryAfter: seconds }))
    })
  }
})

/** Refused: the tier that takes longest to open. Let through: the one with the least left. */
const isWorse = (decision: Decision, tiers: ReadonlyArray<Tier>, i: number, than: number): boolean => {
  const [a, b] = [decision.tiers[i]!, decision.tiers[than]!]
  if (!decision.allowed) return a.waitMillis > b.waitMillis
  return tiers[i]!.limit - a.used < tiers[than]!.limit - b.used
}

/** Users are named by the identity provider, perhaps alike in two tenants; the parts are escaped so that none can run into the next. */
const tiersOf = (limits: RateLimitOptions, caller: AuthUser): ReadonlyArray<Tier> => {
  const tenant = encodeURIComponent(caller.tenantId)
  const tiers: Array<Tier> = []
  const add = (limit: number, key: string) => {
    if (limit > 0) tiers.push({ key: `scaispeak:rate:${key}`, limit })
  }
  if (caller.credential.kind === "apiKey") add(limits.key, `key:${caller.credential.keyId}`)
  add(limits.user, `user:${tenant}:${encodeURIComponent(caller.userId)}`)
  add(limits.tenant, `tenant:${tenant}`)
  if (caller.partnerId !== undefined) add(limits.partner, `partner:${encodeURIComponent(caller.partnerId)}`)
  return tiers
}
