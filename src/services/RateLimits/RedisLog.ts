/**
 * The sliding log in Redis: a list of times per tier, newest first, never longer than the tier's limit.
 *
 * Redis packs the times into about 10 bytes each. One script reads and writes every tier, so a decision is one round
 * trip and atomic. The keys of a call are not in one hash slot: this is for one Redis, not for a Redis Cluster.
 */
import { Clock, Effect } from "effect"
import type { Decision, Tier } from "../RateLimits.ts"
import { type Redis, script } from "../Redis.ts"
import { MemoryLog } from "./MemoryLog.ts"

/**
 * KEYS: a list a tier. ARGV: window and time in ms ("" = Redis's clock), then a limit a tier.
 * Returns whether the request was let through (1 or 0), then for each tier how many are used and how long to wait.
 */
const takeScript = script(`
local window = tonumber(ARGV[1])
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
-- A clock that was set back must not put times out of order.
for _, key in ipairs(KEYS) do
  now = math.max(now, tonumber(redis.call("LINDEX", key, 0) or 0))
end
local allowed = 1
local used = {}
for i, key in ipairs(KEYS) do
  local oldest = tonumber(redis.call("LINDEX", key, -1))
  while oldest and oldest <= now - window do
    redis.call("RPOP", key)
    oldest = tonumber(redis.call("LINDEX", key, -1))
  end
  used[i] = redis.call("LLEN", key)
  if used[i] >= tonumber(ARGV[i + 2]) then allowed = 0 end
end
local reply = { allowed }
for i, key in ipairs(KEYS) do
  local wait = 0
  if allowed == 1 then
    used[i] = redis.call("LPUSH", key, string.format("%.0f", now))
    redis.call("PEXPIRE", key, window)
    wait = redis.call("LINDEX", key, -1) + window - now
  elseif used[i] >= tonumber(ARGV[i + 2]) then
    wait = redis.call("LINDEX", key, ARGV[i + 2] - 1) + window - now
  end
  reply[#reply + 1] = used[i]
  reply[#reply + 1] = wait
end
return reply
`)

const alonenessMessage = "redis is away: rate limits are counted in this process alone"

/** ms for which Redis is not asked again after it was found away: a hung server must not slow every request. */
const awayMillis = 1000

/** Decides in Redis, and in this process while Redis is away. */
export const withFallback = (redis: Redis["Service"], windowMillis: number, now?: Effect.Effect<number>) => {
  const memory = new MemoryLog(windowMillis)
  const time: Effect.Effect<number | ""> = now ?? Effect.succeed("")
  let awayUntil = 0
  const shared = (tiers: ReadonlyArray<Tier>, time: number | "") =>
    Effect.map(
      redis.evaluate(takeScript, tiers.map((tier) => tier.key), [windowMillis, time, ...tiers.map((t) => t.limit)]),
      (reply) => decisionOf(reply as ReadonlyArray<number>)
    )
  return (tiers: ReadonlyArray<Tier>): Effect.Effect<Decision> =>
    Effect.flatMap(Clock.currentTimeMillis, (clock) => {
      const alone = Effect.sync(() => memory.take(tiers, clock))
      if (clock < awayUntil) return alone
      return Effect.flatMap(time, (time) => shared(tiers, time)).pipe(
        Effect.tap(() =>
          Effect.sync(() => {
            awayUntil = 0
          })
        ),
        Effect.catch((failure) => {
          const already = awayUntil > 0
          awayUntil = clock + awayMillis
          return already ? alone : Effect.andThen(Effect.logWarning(alonenessMessage, failure), alone)
        })
      )
    })
}

const decisionOf = ([allowed, ...flat]: ReadonlyArray<number>): Decision => ({
  allowed: allowed === 1,
  tiers: Array.from({ length: flat.length / 2 }, (_, i) => ({ used: flat[2 * i]!, waitMillis: flat[2 * i + 1]! }))
})
