/** `GET /admin/nodes`. */
import { DateTime, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { EngineState } from "../../proto/scaiinfer/v1/audio.ts"
import { NodeRegistry } from "../../services/NodeRegistry.ts"
import type { AudioNode } from "../../services/NodeRegistry/AudioNode.ts"
import { Api } from "../Api.ts"
import * as Envelope from "../Envelope.ts"
import { onlySuperAdmins } from "../SuperAdmin.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "nodes",
  Effect.fnUntraced(function*(handlers) {
    const registry = yield* NodeRegistry
    return handlers.handle(
      "listNodes",
      Effect.fnUntraced(function*() {
        yield* onlySuperAdmins
        const nodes = [...registry.nodes()].sort((a, b) => (a.address < b.address ? -1 : 1))
        return yield* Envelope.page(nodes.map(record), null)
      }, Envelope.answerFailures)
    )
  })
)

const stateNames: Partial<Record<EngineState, "loading" | "failed">> = {
  [EngineState.LOADING]: "loading",
  [EngineState.FAILED]: "failed"
}

const record = (node: AudioNode) => ({
  node_id: node.info?.nodeId ?? null,
  address: node.address,
  source: node.source,
  tier: node.tier,
  circuit: node.tripped ? "open" as const : "closed" as const,
  draining: node.draining,
  version: node.info?.version ?? "",
  engines: (node.info?.engines ?? []).map((info, i) => {
    const { cloning, design } = node.engines[i]!
    return {
      engine: info.engine,
      model: `${info.model} ${info.modelVersion}`.trim(),
      languages: info.languages,
      state: stateNames[info.state] ?? "ready" as const,
      state_reason: info.stateReason,
      cloning,
      design,
      voices: node.presets.filter(({ engine }) => engine === info.engine).map(({ name }) => name)
    }
  }),
  capacity: node.info?.load?.capacity ?? 0,
  active: node.active,
  queued: node.queued,
  held_references: node.heldCount,
  last_heartbeat_at: node.info === undefined ? null : DateTime.makeUnsafe(node.seenAtMillis)
})
