/** `/voices/{id}/warm`, `/evict` and `/repromote`: kept for clients of engines that loaded voices. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { VoiceId } from "../../domain/Ids.ts"
import { Requires } from "./Caller.ts"
import { failures, Ok } from "./Wire.ts"

export const Warmth = Schema.Struct({
  voice_id: VoiceId,
  engine: Schema.Literal("zero_shot"),
  effect: Schema.Literal("none").annotate({ description: "No engine did any work." }),
  warm_nodes: Schema.Array(Schema.Struct({ node_id: Schema.String, warmed_at: Schema.DateTimeUtcFromString })),
  reference: Schema.Literals(["none", "cached", "dropped", "unchanged"]).annotate({
    description: "What became of the reference clip in this process's cache; `none`: the voice has no clip."
  })
})

const params = { voice_id: Schema.String }
const success = Ok(Warmth)
const seen = { params, success, error: failures("SCAISPEAK_VOICE_NOT_FOUND") }
const spoken = { params, success, error: failures("SCAISPEAK_VOICE_NOT_FOUND", "SCAISPEAK_VOICE_NOT_READY") }

const described = (summary: string) =>
  OpenApi.annotations({
    summary,
    description: "Compatible with engines that load voices; a zero-shot engine does not."
  })

export class VoiceWarming extends HttpApiGroup.make("warming").add(
  HttpApiEndpoint.get("state", "/voices/:voice_id/warm", seen)
    .annotate(Requires, "scaispeak:voice.read")
    .annotateMerge(described("Where a voice is warm")),
  HttpApiEndpoint.post("warm", "/voices/:voice_id/warm", spoken)
    .annotate(Requires, "scaispeak:voice.write")
    .annotateMerge(described("Warm a voice: prefetch its reference clip")),
  HttpApiEndpoint.delete("evict", "/voices/:voice_id/warm", seen)
    .annotate(Requires, "scaispeak:voice.write")
    .annotateMerge(described("Evict a voice: drop its reference clip from the cache")),
  HttpApiEndpoint.post("evictVoice", "/voices/:voice_id/evict", seen)
    .annotate(Requires, "scaispeak:voice.write")
    .annotateMerge(described("Evict a voice: drop its reference clip from the cache")),
  HttpApiEndpoint.post("repromote", "/voices/:voice_id/repromote", spoken)
    .annotate(Requires, "scaispeak:voice.write")
    .annotateMerge(described("Fetch and normalise a voice's stored recording anew"))
) {}
