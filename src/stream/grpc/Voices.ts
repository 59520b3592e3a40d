/** `ListVoices`: the filters and cursor of `GET /voices`. */
import { Effect, Schema } from "effect"
import { invalid } from "../../domain/Issues.ts"
import { Cursor, pageDefault, voiceFilterFields } from "../../domain/VoiceFilter.ts"
import * as wire from "../../proto/scaispeak/v1/speak.ts"
import { VoiceRepo } from "../../services/VoiceRepo.ts"
import type { Caller } from "./Calls.ts"
import { literalOf, snaked } from "./Enums.ts"
import { voiceOf } from "./VoiceView.ts"

const Filter = Schema.Struct({
  ...voiceFilterFields,
  // The repository says what it takes.
  limit: Schema.Natural.pipe(Schema.withDecodingDefaultKey(Effect.succeed(pageDefault))),
  cursor: Schema.optionalKey(Cursor)
})
const decode = Schema.decodeUnknownEffect(Filter)

export const make = Effect.gen(function*() {
  const voices = yield* VoiceRepo
  return Effect.fnUntraced(function*(request: wire.ListVoicesRequest, { user }: Caller) {
    const { embedding_status, ...filter } = yield* decode(
      snaked({
        ...request,
        scope: literalOf(wire.VoiceScope, request.scope),
        kind: literalOf(wire.VoiceKind, request.kind),
        embeddingStatus: literalOf(wire.EmbeddingStatus, request.embeddingStatus)
      }),
      { errors: "all" }
    ).pipe(Effect.mapError(invalid("message")))
    const { items, licences, nextCursor } = yield* voices.list(user, {
      ...filter,
      ...(embedding_status === undefined ? {} : { embeddingStatus: embedding_status })
    })
    return {
      voices: items.map((voice) => voiceOf(voice, licences.get(voice.voiceId))),
      nextCursor: nextCursor ?? undefined
    }
  })
})
