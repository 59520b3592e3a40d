/** `ListVoices`: the filters and cursor of `GET /voices`. What a voice shows, everybody who may read it may know. */
import { Effect, Schema, SchemaIssue } from "effect"
import { InvalidRequest } from "../../domain/Failure.ts"
import { backendsOf, EmbeddingStatus, Gender, Language, VoiceKind, VoiceScope } from "../../domain/Voice.ts"
import type { Voice } from "../../domain/Voice.ts"
import * as wire from "../../proto/scaispeak/v1/speak.ts"
import { VoiceRepo } from "../../services/VoiceRepo.ts"
import type { Caller } from "./Calls.ts"
import { literalOf, numberOf, snaked } from "./Enums.ts"

const Filter = Schema.Struct({
  language: Schema.optionalKey(Language),
  scope: Schema.optionalKey(VoiceScope),
  gender: Schema.optionalKey(Gender),
  embeddingStatus: Schema.optionalKey(EmbeddingStatus),
  kind: Schema.optionalKey(VoiceKind),
  q: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(200))),
  // The repository says what it takes.
  limit: Schema.Natural.pipe(Schema.withDecodingDefaultKey(Effect.succeed(50))),
  cursor: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(1000)))
}).pipe(Schema.encodeKeys({ embeddingStatus: "embedding_status" }))
const decode = Schema.decodeUnknownEffect(Filter)
const format = SchemaIssue.makeFormatterStandardSchemaV1()

export const make = Effect.gen(function*() {
  const voices = yield* VoiceRepo
  return Effect.fnUntraced(function*(request: wire.ListVoicesRequest, { user }: Caller) {
    const filter = yield* decode(
      snaked({
        ...request,
        scope: literalOf(wire.VoiceScope, request.scope),
        kind: literalOf(wire.VoiceKind, request.kind),
        embeddingStatus: literalOf(wire.EmbeddingStatus, request.embeddingStatus)
      }),
      { errors: "all" }
    ).pipe(Effect.mapError(({ issue }) =>
      new InvalidRequest({
        details: format(issue).issues.map(({ message, path = [] }) => ({ field: path.map(String).join("."), message }))
      })
    ))
    const { items, nextCursor } = yield* voices.list(user, filter)
    return { voices: items.map(voiceOf), nextCursor: nextCursor ?? undefined }
  })
})

const voiceOf = (voice: Voice): wire.Voice => {
  const { A, B } = backendsOf(voice)
  return {
    voiceId: voice.voiceId,
    displayName: voice.displayName,
    description: voice.description,
    scope: numberOf(wire.VoiceScope, voice.scope),
    kind: numberOf(wire.VoiceKind, voice.kind),
    languagePrimary: voice.languagePrimary,
    languageSupported: [...voice.languageSupported],
    gender: voice.gender,
    ageHint: voice.ageHint ?? undefined,
    styleTags: [...voice.styleTags],
    embeddingStatus: numberOf(wire.EmbeddingStatus, voice.embeddingStatus),
    statusReason: voice.statusReason ?? undefined,
    backends: [...(A ? [wire.Backend.A] : []), ...(B ? [wire.Backend.B] : [])]
  }
}
