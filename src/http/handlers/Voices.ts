/** The voices that a caller sees: lists, records, changes, sharing, and the stored recordings. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { VoiceNotFound } from "../../domain/Failure.ts"
import type { StorageUnavailable } from "../../domain/Failure.ts"
import type { Voice } from "../../domain/Voice.ts"
import { Consents } from "../../services/Consents.ts"
import { Licences } from "../../services/Licences.ts"
import { ObjectStore } from "../../services/ObjectStore.ts"
import { VoiceLibrary } from "../../services/VoiceLibrary.ts"
import { VoiceRepo } from "../../services/VoiceRepo.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import * as Envelope from "../Envelope.ts"
import { named } from "../NamedVoice.ts"
import { storedFile } from "../StoredFile.ts"
import type { RangeRequest } from "../StoredFile.ts"
import { record } from "../VoiceView.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "voices",
  Effect.fnUntraced(function*(handlers) {
    const voices = yield* VoiceRepo
    const library = yield* VoiceLibrary
    const terms = yield* Licences
    const consents = yield* Consents
    const objects = yield* ObjectStore

    /** A recording of a voice, for whoever may listen to it; others, and where there is none, learn nothing about it. */
    const stored = (
      keyOf: (voice: Voice, original: boolean) => Effect.Effect<string | undefined, StorageUnavailable>
    ) =>
      Effect.fnUntraced(
        function*({ headers, params, query }: {
          readonly headers: RangeRequest
          readonly params: { readonly voice_id: string }
          readonly query?: { readonly original?: "true" | "false" }
        }) {
          const { id, user } = yield* named(params)
          const key = yield* keyOf(yield* library.permit(user, id, "listen"), query?.original === "true")
          return yield* key === undefined ? new VoiceNotFound() : storedFile(objects, key, headers)
        },
        Effect.catchTag(["ObjectNotFound", "PermissionDenied"], () => new VoiceNotFound()),
        Envelope.answerFailures
      )

    return handlers.handleAll({
      list: Effect.fnUntraced(function*({ query: { embedding_status, ...query } }) {
        const { user } = yield* Caller
        const { items, licences, nextCursor } = yield* voices.list(user, {
          ...query,
          ...(embedding_status === undefined ? {} : { embeddingStatus: embedding_status })
        })
        return yield* Envelope.page(
          items.map((voice) => record(voice, licences.get(voice.voiceId) ?? null)),
          nextCursor
        )
      }, Envelope.answerFailures),

      get: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        const voice = yield* voices.find(user, id)
        return yield* Envelope.ok(record(voice, voice.scope === "global" ? yield* terms.find(voice.voiceId) : null))
      }, Envelope.answerFailures),

      update: Effect.fnUntraced(function*({ params, payload }) {
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(record(yield* library.update(user, id, payload), null))
      }, Envelope.answerFailures),

      share: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(record(yield* library.share(user, id), null))
      }, Envelope.answerFailures),

      unshare: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(record(yield* library.unshare(user, id), null))
      }, Envelope.answerFailures),

      reference: stored(({ reference }, original) =>
        Effect.succeed(original ? reference?.original?.objectKey ?? reference?.objectKey : reference?.objectKey)
      ),

      consentAudio: stored(({ consent, tenantId }) =>
        consent === null || tenantId === null
          ? Effect.undefined
          : Effect.map(consents.find(tenantId, consent.consentId), (found) => found?.details?.audioKey)
      )
    })
  })
)
