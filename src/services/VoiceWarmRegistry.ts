/**
 * Which nodes have spoken a voice lately: one sorted set per voice, scored by time.
 *
 * A zero-shot engine has no use for it; the warming endpoints keep it true for engines that load voices. An entry is
 * forgotten once its voice has a mark that is `ttl` newer, and a voice `ttl` after its last mark.
 */
import { Context, Duration, Effect, Layer, Option } from "effect"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { VoiceId } from "../domain/Ids.ts"
import { Redis } from "./Redis.ts"
import * as Memory from "./VoiceWarmRegistry/Memory.ts"
import * as Sorted from "./VoiceWarmRegistry/Redis.ts"

export interface WarmNode {
  readonly nodeId: string
  /** ms since 1970. */
  readonly atMillis: number
}

/** An engine that was not asked for a voice for a day has no reason to hold it. */
const ttlDefault = Duration.hours(24)

interface Options {
  readonly ttl?: Duration.Input
}

const ttlMillis = (options?: Options): number => Duration.toMillis(options?.ttl ?? ttlDefault)

export class VoiceWarmRegistry extends Context.Service<VoiceWarmRegistry, {
  /** The node holds the voice as of `atMillis`. An older mark never replaces a newer one. */
  readonly mark: (voiceId: VoiceId, nodeId: string, atMillis: number) => Effect.Effect<void, StorageUnavailable>
  /** Forgets one node, or every node, of the voice; says how many that were. */
  readonly evict: (voiceId: VoiceId, nodeId?: string) => Effect.Effect<number, StorageUnavailable>
  /** Nodes marked at or after `sinceMillis`, newest first. */
  readonly warmNodes: (
    voiceId: VoiceId,
    sinceMillis: number
  ) => Effect.Effect<ReadonlyArray<WarmNode>, StorageUnavailable>
  /** The voice is gone, and every trace of it here. */
  readonly drop: (voiceId: VoiceId) => Effect.Effect<void, StorageUnavailable>
}>()("scaispeak/VoiceWarmRegistry") {
  /** In Redis where there is one, else in this process. */
  static readonly layer = (options?: Options) =>
    Layer.unwrap(Effect.map(Effect.serviceOption(Redis), (redis) =>
      Option.isNone(redis)
        ? VoiceWarmRegistry.layerMemory(options)
        : VoiceWarmRegistry.layerRedis(options).pipe(Layer.provide(Layer.succeed(Redis, redis.value)))))

  /** Of this process alone; at most 10 000 voices, the longest unmarked forgotten first. */
  static readonly layerMemory = (options?: Options) =>
    Layer.sync(VoiceWarmRegistry, () => Memory.make(ttlMillis(options)))

  /** Shared by every process on the same Redis. */
  static readonly layerRedis = (options?: Options) => Layer.effect(VoiceWarmRegistry, Sorted.make(ttlMillis(options)))
}
