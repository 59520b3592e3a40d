/** `/voices/{id}/warm`, `/evict` and `/repromote`. */
import { DateTime, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Failure } from "../../domain/Failure.ts"
import type { Voice } from "../../domain/Voice.ts"
import { VoiceLibrary } from "../../services/VoiceLibrary.ts"
import { VoiceWarming } from "../../services/VoiceWarming.ts"
import type { Warmth } from "../../services/VoiceWarming.ts"
import { Api } from "../Api.ts"
import * as Envelope from "../Envelope.ts"
import { named } from "../NamedVoice.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "warming",
  Effect.fnUntraced(function*(handlers) {
    const library = yield* VoiceLibrary
    const { evict, repromote, state, warm } = yield* VoiceWarming

    const answer = (act: (voice: Voice) => Effect.Effect<Warmth, Failure>) =>
      Effect.fnUntraced(function*({ params }: { readonly params: { readonly voice_id: string } }) {
        const { id, user } = yield* named(params)
        const voice = yield* library.permit(user, id, "warm")
        const { nodes, reference } = yield* act(voice)
        return yield* Envelope.ok({
          voice_id: id,
          engine: "zero_shot" as const,
          effect: "none" as const,
          warm_nodes: nodes.map(({ atMillis, nodeId }) => ({
            node_id: nodeId,
            warmed_at: DateTime.makeUnsafe(atMillis)
          })),
          reference
        })
      }, Envelope.answerFailures)

    return handlers.handleAll({
      state: answer(state),
      warm: answer(warm),
      evict: answer(evict),
      evictVoice: answer(evict),
      repromote: answer(repromote)
    })
  })
)
