/** `POST /voices`, and `POST /voices/preflight`, which measures a clip as it is uploaded and keeps nothing. */
import { Effect, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { InvalidRequest, VoiceNotFound } from "../../domain/Failure.ts"
import { VoiceId } from "../../domain/Ids.ts"
import type { Voice } from "../../domain/Voice.ts"
import { ClipIntake } from "../../services/ClipIntake.ts"
import { ClipSources } from "../../services/ClipSources.ts"
import { Idempotency } from "../../services/Idempotency.ts"
import type { Reply } from "../../services/Idempotency.ts"
import type { TokenBearer } from "../../services/TokenExchange.ts"
import { VoiceIntake } from "../../services/VoiceIntake.ts"
import { VoiceRepo } from "../../services/VoiceRepo.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import { Created } from "../api/Intake.ts"
import { mount } from "../Document.ts"
import * as Envelope from "../Envelope.ts"
import { expected, identityOf, newVoiceRequest } from "../NewVoiceRequest.ts"
import type { NewVoiceRequest } from "../NewVoiceRequest.ts"
import { once } from "../Once.ts"
import { currentOrigin } from "../Origin.ts"
import { endRefused, Uploads } from "../Uploads.ts"
import { record } from "../VoiceView.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "intake",
  Effect.fnUntraced(function*(handlers) {
    const uploads = yield* Uploads
    const clips = yield* ClipIntake
    const intake = yield* VoiceIntake
    const sources = yield* ClipSources
    const voices = yield* VoiceRepo
    const idempotency = yield* Idempotency

    const make = Effect.fnUntraced(function*(caller: TokenBearer, request: NewVoiceRequest) {
      if (request.mode === "design") return yield* intake.design(caller.user, request.given)
      const reference = yield* sources.open(caller, "reference", request.clips.reference)
      const consent = yield* sources.open(caller, "consent", request.clips.consent)
      return yield* intake.clone(caller.user, yield* currentOrigin, request.given, { reference, consent })
    }, Effect.scoped)

    return handlers.handleAll({
      createVoice: Effect.fnUntraced(
        function*({ headers, payload }) {
          const caller = yield* Caller
          const received = yield* uploads.receive(payload, expected)
          const request = yield* newVoiceRequest(received)
          let made: VoiceId | null = null
          return yield* once(idempotency, {
            key: headers["idempotency-key"],
            route: "POST /voices",
            caller: caller.user,
            request: identityOf(received),
            // What a voice that is gone was called is nothing to tell.
            permit: Effect.fnUntraced(function*(reply) {
              const id = yield* voiceOf(reply)
              caller.resourceId = id
              yield* voices.find(caller.user, id)
            }),
            answer: Effect.gen(function*() {
              const voice = yield* make(caller, request)
              caller.resourceId = made = voice.voiceId
              return yield* created(voice)
            }),
            voiceId: () => made
          })
        },
        Effect.scoped,
        Envelope.answerFailures,
        endRefused
      ),

      preflight: Effect.fnUntraced(
        function*({ payload }) {
          const { files } = yield* uploads.receive(payload, { files: ["reference"] })
          const clip = files["reference"]
          if (clip === undefined) return yield* InvalidRequest.field("reference", "is missing: a sound file is needed")
          return yield* Envelope.ok(yield* clips.measure(clip))
        },
        Effect.scoped,
        Envelope.answerFailures,
        endRefused
      )
    })
  })
)

const voicesPath = `${mount}/voices/`

const created = Effect.fnUntraced(function*(voice: Voice) {
  const reply = yield* Envelope.ok(record(voice, null))
  const headers = { location: `${voicesPath}${voice.voiceId}` }
  return yield* Effect.orDie(encodeCreated(reply, { status: 201, headers }))
})

const encodeCreated = HttpServerResponse.schemaJson(Created)

/** The voice that a kept reply says was made. */
const voiceOf = ({ headers }: Reply) =>
  Effect.mapError(
    Schema.decodeUnknownEffect(VoiceId)(headers["location"]?.slice(voicesPath.length)),
    () => new VoiceNotFound()
  )
