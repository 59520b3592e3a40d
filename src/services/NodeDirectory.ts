/**
 * The heartbeats that any process of the service has received, for all of them: a node needs to reach one gateway only.
 *
 * An entry holds what the node last said of itself and how long ago, by the clock of whoever keeps it, so that the clocks
 * of processes need not agree. A node that has been silent for {@link forgottenMillis} is forgotten.
 */
import { Clock, Context, Effect, Layer, Option } from "effect"
import type { StorageUnavailable } from "../domain/Failure.ts"
import { GetInfoResponse } from "../proto/scaiinfer/v1/audio.ts"
import { Redis, script } from "./Redis.ts"

/** Long enough that an operator sees in the list what went away. */
export const forgottenMillis = 5 * 60_000

export interface HeardNode {
  /** `host:port` of its AudioService. */
  readonly address: string
  readonly info: GetInfoResponse
  /** Since its last heartbeat. */
  readonly ageMillis: number
}

export class NodeDirectory extends Context.Service<NodeDirectory, {
  /** Keeps what a node said of itself just now. */
  readonly announce: (address: string, info: GetInfoResponse) => Effect.Effect<void, StorageUnavailable>
  /** Every node heard in the last five minutes, by address. */
  readonly list: Effect.Effect<ReadonlyArray<HeardNode>, StorageUnavailable>
}>()("scaispeak/NodeDirectory") {
  /** In Redis where there is one, else in this process. */
  static readonly layer: Layer.Layer<NodeDirectory> = Layer.unwrap(
    Effect.map(Effect.serviceOption(Redis), (redis) =>
      Option.isNone(redis)
        ? NodeDirectory.layerMemory
        : NodeDirectory.layerRedis.pipe(Layer.provide(Layer.succeed(Redis, redis.value))))
  )

  /** Of this process alone. */
  static readonly layerMemory: Layer.Layer<NodeDirectory> = Layer.sync(NodeDirectory, () => {
    const heard = new Map<string, { readonly info: GetInfoResponse; readonly atMillis: number }>()
    return NodeDirectory.of({
      announce: (address, info) =>
        Effect.map(Clock.currentTimeMillis, (atMillis) => void heard.set(address, { info, atMillis })),
      list: Effect.map(Clock.currentTimeMillis, (now) => {
        for (const [address, { atMillis }] of heard) if (now - atMillis > forgottenMillis) heard.delete(address)
        return [...heard].map(([address, { atMillis, info }]) => ({ address, info, ageMillis: now - atMillis })).sort(
          byAddress
        )
      })
    })
  })

  /** Shared by every process on the same Redis. */
  static readonly layerRedis: Layer.Layer<NodeDirectory, never, Redis> = Layer.effect(
    NodeDirectory,
    Effect.gen(function*() {
      const redis = yield* Redis
      return NodeDirectory.of({
        announce: (address, info) =>
          Effect.asVoid(redis.evaluate(announceScript, [infoKey, timeKey], [
            address,
            Buffer.from(GetInfoResponse.encode(info).finish()).toString("base64"),
            forgottenMillis
          ])),
        list: Effect.map(
          redis.evaluate(listScript, [infoKey, timeKey], [forgottenMillis]),
          (reply) =>
            (reply as ReadonlyArray<[string, string, number]>).map(([address, info, ageMillis]) => ({
              address,
              info: GetInfoResponse.decode(Buffer.from(info, "base64")),
              ageMillis
            })).sort(byAddress)
        )
      })
    })
  )
}

const byAddress = (a: HeardNode, b: HeardNode) => (a.address < b.address ? -1 : 1)

const infoKey = "scaispeak:nodes:info"
const timeKey = "scaispeak:nodes:heard-at"

/** Redis's own clock, ms. */
const now = `local time = redis.call("TIME"); local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/** KEYS: infos by address; times by address. ARGV: address, info, ms after which everything is forgotten. */
const announceScript = script(`
${now}
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
redis.call("ZADD", KEYS[2], now, ARGV[1])
redis.call("PEXPIRE", KEYS[1], ARGV[3])
redis.call("PEXPIRE", KEYS[2], ARGV[3])
`)

/** ARGV: ms after which a node is forgotten. Returns address, info and age in ms of each. */
const listScript = script(`
${now}
for _, address in ipairs(redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", "(" .. (now - ARGV[1]))) do
  redis.call("HDEL", KEYS[1], address)
  redis.call("ZREM", KEYS[2], address)
end
local heard = redis.call("ZRANGE", KEYS[2], 0, -1, "WITHSCORES")
local nodes = {}
for i = 1, #heard, 2 do
  local info = redis.call("HGET", KEYS[1], heard[i])
  if info then nodes[#nodes + 1] = { heard[i], info, now - tonumber(heard[i + 1]) } end
end
return nodes
`)
