/**
 * The warming of voices, kept from engines that had to load each voice: it does no engine work here, since a zero-shot
 * engine is sent the clip with every call. The warm registry stays true and the clip comes near.
 *
 * A node is warm for a voice when it can speak it now; a mark stands for a day. A voice without a clip has nothing to
 * fetch or to drop.
 */
import { Clock, Context, Effect, Layer } from "effect"
import { canServe, needOf } from "../domain/AudioNode.ts"
import type { AudioUndecodable, PreflightFailed, StorageUnavailable, VoiceNotReady } from "../domain/Failure.ts"
import { notReady } from "../domain/Voice.ts"
import type { Voice } from "../domain/Voice.ts"
import { NodeRegistry } from "./NodeRegistry.ts"
import { ReferenceCache } from "./ReferenceCache.ts"
import { VoiceIntake } from "./VoiceIntake.ts"
import type { WarmNode } from "./VoiceWarmRegistry.ts"
import { VoiceWarmRegistry } from "./VoiceWarmRegistry.ts"

export interface Warmth {
  /** Newest mark first. */
  readonly nodes: ReadonlyArray<WarmNode>
  /** What became of the clip in this process; `none`: the voice has none. `unchanged`: it was not looked at. */
  readonly reference: "none" | "cached" | "dropped" | "unchanged"
}

const markMillis = 24 * 3600 * 1000

export class VoiceWarming extends Context.Service<VoiceWarming, {
  readonly state: (voice: Voice) => Effect.Effect<Warmth, StorageUnavailable>
  /** Brings the clip into the reference cache, and marks every node that can speak the voice. */
  readonly warm: (voice: Voice) => Effect.Effect<Warmth, StorageUnavailable | VoiceNotReady>
  /** Forgets the marks, and the clip in memory and on disk. */
  readonly evict: (voice: Voice) => Effect.Effect<Warmth, StorageUnavailable>
  /** Takes the stored recording in anew (`VoiceIntake.repeat`), forgets what was kept of it, and warms the voice. */
  readonly repromote: (
    voice: Voice
  ) => Effect.Effect<Warmth, AudioUndecodable | PreflightFailed | StorageUnavailable | VoiceNotReady>
}>()("scaispeak/VoiceWarming") {
  /** `engine`: the kind that cloned and designed voices are bound to. */
  static readonly layer = (options: { readonly engine: string }) =>
    Layer.effect(
      VoiceWarming,
      Effect.gen(function*() {
        const registry = yield* VoiceWarmRegistry
        const references = yield* ReferenceCache
        const nodes = yield* NodeRegistry
        const intake = yield* VoiceIntake

        const marks = (voice: Voice) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => registry.warmNodes(voice.voiceId, now - markMillis))

        const mark = Effect.fnUntraced(function*(voice: Voice) {
          const need = needOf(voice, options.engine)
          if (need === undefined) return
          const now = yield* Clock.currentTimeMillis
          for (const node of nodes.nodes().filter((node) => canServe(node, need))) {
            yield* registry.mark(voice.voiceId, node.name, now)
          }
        })

        const drop = (voice: Voice) => voice.reference === null ? Effect.void : references.drop(voice.reference.sha256)

        const warm = Effect.fn("VoiceWarming.warm")(function*(voice: Voice) {
          const refused = notReady(voice)
          if (refused !== undefined) return yield* refused
          if (voice.reference !== null) yield* references.get(voice.reference)
          yield* mark(voice)
          return {
            nodes: yield* marks(voice),
            reference: voice.reference === null ? "none" as const : "cached" as const
          }
        })

        return VoiceWarming.of({
          state: (voice) =>
            Effect.map(marks(voice), (nodes) => ({
              nodes,
              reference: voice.reference === null ? "none" : "unchanged"
            })),
          warm,
          evict: Effect.fn("VoiceWarming.evict")(function*(voice) {
            yield* registry.drop(voice.voiceId)
            yield* drop(voice)
            return { nodes: [], reference: voice.reference === null ? "none" as const : "dropped" as const }
          }),
          repromote: Effect.fn("VoiceWarming.repromote")(function*(voice) {
            const renewed = yield* intake.repeat(voice)
            yield* drop(voice)
            return yield* warm(renewed)
          })
        })
      })
    )
}
