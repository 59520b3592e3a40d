/** Warm nodes kept in this process. */
import { Clock, Effect } from "effect"
import type { VoiceWarmRegistry, WarmNode } from "../VoiceWarmRegistry.ts"

const voicesMax = 10_000

interface Warm {
  readonly nodes: Map<string, number>
  forgottenAt: number
}

const newestFirst = (a: WarmNode, b: WarmNode) => b.atMillis - a.atMillis || (a.nodeId < b.nodeId ? 1 : -1)

export const make = (ttlMillis: number): VoiceWarmRegistry["Service"] => {
  // Ordered by the last mark: a marked voice goes to the end, the first is the one to forget.
  const voices = new Map<string, Warm>()

  const alive = (voiceId: string, now: number): Warm | undefined => {
    const warm = voices.get(voiceId)
    if (warm === undefined || warm.forgottenAt > now) return warm
    voices.delete(voiceId)
    return undefined
  }

  return {
    mark: (voiceId, nodeId, atMillis) =>
      Effect.clockWith((clock) =>
        Effect.sync(() => {
          const now = clock.currentTimeMillisUnsafe()
          const nodes = alive(voiceId, now)?.nodes ?? new Map<string, number>()
          voices.delete(voiceId)
          nodes.set(nodeId, Math.max(atMillis, nodes.get(nodeId) ?? atMillis))
          for (const [other, at] of nodes) if (at <= atMillis - ttlMillis) nodes.delete(other)
          voices.set(voiceId, { nodes, forgottenAt: now + ttlMillis })
          if (voices.size > voicesMax) voices.delete(voices.keys().next().value!)
        })
      ),
    evict: (voiceId, nodeId) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const warm = alive(voiceId, now)
        if (warm === undefined) return 0
        if (nodeId !== undefined) return warm.nodes.delete(nodeId) ? 1 : 0
        voices.delete(voiceId)
        return warm.nodes.size
      }),
    warmNodes: (voiceId, sinceMillis) =>
      Effect.map(
        Clock.currentTimeMillis,
        (now) =>
          Array.from(alive(voiceId, now)?.nodes ?? [], ([nodeId, atMillis]) => ({ nodeId, atMillis }))
            .filter(({ atMillis }) => atMillis >= sinceMillis)
            .sort(newestFirst)
      ),
    drop: (voiceId) => Effect.sync(() => void voices.delete(voiceId))
  }
}
