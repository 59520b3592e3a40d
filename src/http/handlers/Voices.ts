/** `GET /voices`, `GET /voices/{id}` and `POST /voices/preflight`. */
import { Effect, Option, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { InvalidRequest, VoiceNotFound } from "../../domain/Failure.ts"
import { VoiceId } from "../../domain/Ids.ts"
import { backendsOf } from "../../domain/Voice.ts"
import type { Voice } from "../../domain/Voice.ts"
import { AudioDecoder } from "../../services/AudioDecoder.ts"
import { Licences } from "../../services/Licences.ts"
import { Preflight } from "../../services/Preflight.ts"
import { VoiceRepo } from "../../services/VoiceRepo.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import * as Envelope from "../Envelope.ts"
import { endRefused, Uploads } from "../Uploads.ts"
import { license } from "./License.ts"

const decodeVoiceId = Schema.decodeUnknownOption(VoiceId)

export const layer = HttpApiBuilder.group(
  Api,
  "voices",
  Effect.fnUntraced(function*(handlers) {
    const voices = yield* VoiceRepo
    const licences = yield* Licences
    const uploads = yield* Uploads
    const decoder = yield* AudioDecoder
    const preflight = yield* Preflight
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
        const caller = yield* Caller
        caller.resourceId = params.voice_id
        // An id of another shape names no voice either: it must not read differently from an invisible one.
        const id = decodeVoiceId(params.voice_id)
        if (Option.isNone(id)) return yield* new VoiceNotFound()
        const voice = yield* voices.find(caller.user, id.value)
        const licence = voice.scope === "global" ? yield* licences.find(voice.voiceId) : null
        return yield* Envelope.ok({ ...record(voice), license: license(licence) })
      }, Envelope.answerFailures),
      preflight: Effect.fnUntraced(
        function*({ payload }) {
          const { files } = yield* uploads.receive(payload, { files: ["reference"] })
          const clip = files["reference"]
          if (clip === undefined) return yield* InvalidRequest.field("reference", "is missing: a sound file is needed")
          return yield* Envelope.ok(yield* preflight.reference(yield* decoder.decode(clip)))
        },
        Effect.scoped,
        Envelope.answerFailures,
        endRefused
      )
    })
  })
)

export const record = (voice: Voice) => ({
  voice_id: voice.voiceId,
  display_name: voice.displayName,
  description: voice.description,
  scope: voice.scope,
  kind: voice.kind,
  language_primary: voice.languagePrimary,
  language_supported: voice.languageSupported,
  gender: voice.gender,
  age_hint: voice.ageHint,
  style_tags: voice.styleTags,
  embedding_status: voice.embeddingStatus,
  status_reason: voice.statusReason,
  owner_user_id: voice.ownerUserId,
  tenant_id: voice.tenantId,
  defaults: voice.defaults,
  backends: backendsOf(voice),
  relay_speaker: voice.relaySpeaker,
  consent: voice.consent,
  created_at: voice.createdAt,
  updated_at: voice.updatedAt
})
