/** `GET /synths/{id}`. */
import { Effect, Option, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { SynthesisNotFound } from "../../domain/Failure.ts"
import { SynthesisId } from "../../domain/Ids.ts"
import { SynthesisRecords } from "../../services/SynthesisRecords.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import * as Envelope from "../Envelope.ts"

const decodeId = Schema.decodeUnknownOption(SynthesisId)

export const layer = HttpApiBuilder.group(
  Api,
  "synths",
  Effect.fnUntraced(function*(handlers) {
    const records = yield* SynthesisRecords
    return handlers.handle(
      "getSynthesis",
      Effect.fnUntraced(function*({ params }) {
        const caller = yield* Caller
        caller.resourceId = params.synthesis_id
        const id = decodeId(params.synthesis_id)
        if (Option.isNone(id)) return yield* new SynthesisNotFound()
        const { audio_ms, backend, outcome, routing, ...record } = yield* records.find(caller.user, id.value)
        return yield* Envelope.ok({
          ...record,
          status: outcome,
          backend_used: backend,
          audio_duration_ms: audio_ms,
          routing: routing?.reasons ?? [],
          ignored_params: routing?.ignoredParams ?? []
        })
      }, Envelope.answerFailures)
    )
  })
)
