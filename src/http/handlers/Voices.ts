/** The voices that a caller sees: lists, records, changes, sharing, and the stored clip. */
import { Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { VoiceNotFound } from "../../domain/Failure.ts"
import { Licences } from "../../services/Licences.ts"
import { ObjectStore } from "../../services/ObjectStore.ts"
import { VoiceLibrary } from "../../services/VoiceLibrary.ts"
import { VoiceRepo } from "../../services/VoiceRepo.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import { byteRange, rangeHeaders } from "../ByteRange.ts"
import * as Envelope from "../Envelope.ts"
import { named } from "../NamedVoice.ts"
import { detail, record } from "../VoiceView.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "voices",
  Effect.fnUntraced(function*(handlers) {
    const voices = yield* VoiceRepo
    const library = yield* VoiceLibrary
    const licences = yield* Licences
    const objects = yield* ObjectStore

    return handlers.handleAll({
      list: Effect.fnUntraced(function*({ query: { embedding_status, ...query } }) {
        const { user } = yield* Caller
        const { items, nextCursor } = yield* voices.list(user, {
          ...query,
          ...(embedding_status === undefined ? {} : { embeddingStatus: embedding_status })
        })
        return yield* Envelope.page(items.map(record), nextCursor)
      }, Envelope.answerFailures),

      get: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        const voice = yield* voices.find(user, id)
        return yield* Envelope.ok(detail(voice, voice.scope === "global" ? yield* licences.find(voice.voiceId) : null))
      }, Envelope.answerFailures),

      update: Effect.fnUntraced(function*({ params, payload }) {
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(detail(yield* library.update(user, id, payload), null))
      }, Envelope.answerFailures),

      share: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(detail(yield* library.share(user, id), null))
      }, Envelope.answerFailures),

      unshare: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(detail(yield* library.unshare(user, id), null))
      }, Envelope.answerFailures),

      reference: Effect.fnUntraced(
        function*({ headers, params }) {
          const { id, user } = yield* named(params)
          const { reference } = yield* library.permit(user, id, "listen")
          if (reference === null) return yield* new VoiceNotFound()
          const facts = yield* objects.head(reference.objectKey)
          const range = byteRange(headers.range, headers["if-range"], facts)
          const { body } = yield* objects.get(reference.objectKey, range)
          return HttpServerResponse.stream(body, {
            status: range === undefined ? 200 : 206,
            contentType: facts.contentType,
            contentLength: range?.length ?? facts.size,
            headers: { ...rangeHeaders(range, facts), "cache-control": "private, no-store" }
          })
        },
        // Whoever may not hear the clip, or finds none, learns nothing about it.
        Effect.catchTag(["ObjectNotFound", "PermissionDenied"], () => new VoiceNotFound()),
        Envelope.answerFailures
      )
    })
  })
)
