/** `GET /admin/nodes`. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { Cloning, NodeTier } from "../../domain/AudioNode.ts"
import { Requires } from "./Caller.ts"
import { failures, Ok, Page } from "./Wire.ts"

export const NodeRecord = Schema.Struct({
  node_id: Schema.NullOr(Schema.String).annotate({ description: "Null until it has been heard." }),
  address: Schema.String,
  source: Schema.Literals(["configured", "heartbeat"]),
  tier: NodeTier.annotate({ description: "By the age of its last sign of life: 10 s, 30 s, older." }),
  circuit: Schema.Literals(["closed", "open"]).annotate({
    description: "`open`: it failed call after call and gets none until a probe succeeds."
  }),
  draining: Schema.Boolean,
  version: Schema.String,
  engines: Schema.Array(Schema.Struct({
    engine: Schema.String,
    model: Schema.String,
    languages: Schema.Array(Schema.String),
    state: Schema.Literals(["ready", "loading", "failed"]),
    state_reason: Schema.String,
    cloning: Cloning,
    design: Schema.Boolean,
    voices: Schema.Array(Schema.String)
  })),
  capacity: Schema.Natural,
  active: Schema.Natural.annotate({ description: "Calls that run there, as it says or as this process knows." }),
  queued: Schema.Natural,
  held_references: Schema.Natural,
  last_heartbeat_at: Schema.NullOr(Schema.DateTimeUtcFromString)
})

export class Nodes extends HttpApiGroup.make("nodes").add(
  HttpApiEndpoint.get("listNodes", "/admin/nodes", { success: Ok(Page(NodeRecord)), error: failures() })
    .annotate(Requires, "scaispeak:admin")
    .annotateMerge(OpenApi.annotations({
      summary: "List engine nodes",
      description: "Every node that this process knows, by address. Super admins only."
    }))
) {}
