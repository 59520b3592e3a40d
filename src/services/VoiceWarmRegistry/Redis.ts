/** Warm nodes in one Redis sorted set per voice: member the node, score the time of its last mark in ms. */
import { Effect } from "effect"
import { Redis, script } from "../Redis.ts"
import type { VoiceWarmRegistry } from "../VoiceWarmRegistry.ts"

const keyOf = (voiceId: string) => `scaispeak:voice-warm:${voiceId}`

/** KEYS: the voice. ARGV: node, time, ttl; ms. `GT` keeps the newer mark. */
const markScript = script(`
redis.call("ZADD", KEYS[1], "GT", ARGV[2], ARGV[1])
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", ARGV[2] - ARGV[3])
redis.call("PEXPIRE", KEYS[1], ARGV[3])
`)

/** KEYS: the voice. Returns how many nodes went. */
const evictScript = script(`
local nodes = redis.call("ZCARD", KEYS[1])
redis.call("DEL", KEYS[1])
return nodes
`)

export const make = Effect.fnUntraced(function*(ttlMillis: number) {
  const redis = yield* Redis
  const service: VoiceWarmRegistry["Service"] = {
    mark: (voiceId, nodeId, atMillis) =>
      Effect.asVoid(redis.evaluate(markScript, [keyOf(voiceId)], [nodeId, atMillis, ttlMillis])),
    evict: (voiceId, nodeId) =>
      nodeId === undefined
        ? Effect.map(redis.evaluate(evictScript, [keyOf(voiceId)], []), Number)
        : redis.use((client) => client.zrem(keyOf(voiceId), nodeId)),
    warmNodes: (voiceId, sinceMillis) =>
      Effect.map(
        redis.use((client) => client.zrevrangebyscore(keyOf(voiceId), "+inf", sinceMillis, "WITHSCORES")),
        (flat) =>
          Array.from({ length: flat.length / 2 }, (_, i) => ({
            nodeId: flat[2 * i]!,
            atMillis: Number(flat[2 * i + 1])
          }))
      ),
    drop: (voiceId) => Effect.asVoid(redis.use((client) => client.del(keyOf(voiceId))))
  }
  return service
})
