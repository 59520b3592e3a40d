/** `POST /speak`: carries a request to {@link Synthesis} and its audio to the socket, as bytes or as JSON. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { DateTime, Effect, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { createHash } from "node:crypto"
import { formats, millisOfBytes } from "../../domain/AudioFormat.ts"
import { InvalidRequest, SaveToRequiresJwt } from "../../domain/Failure.ts"
import type { StorageUnavailable } from "../../domain/Failure.ts"
import type { SpokenWord } from "../../domain/PcmChunk.ts"
import type { AuthUser } from "../../domain/Permission.ts"
import { codePoints, paramsOf } from "../../domain/SpeakRequest.ts"
import type { SpeakRequest } from "../../domain/SpeakRequest.ts"
import { AudioEncoder, completed, rateFor } from "../../services/AudioEncoder.ts"
import { Idempotency } from "../../services/Idempotency.ts"
import { JobRepo } from "../../services/JobRepo.ts"
import { Licences } from "../../services/Licences.ts"
import { Synthesis } from "../../services/Synthesis.ts"
import type { Speech } from "../../services/Synthesis.ts"
import { stepStream } from "../../services/Trace.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import { Accepted } from "../api/Jobs.ts"
import { SpeakReply } from "../api/Speech.ts"
import { Ok } from "../api/Wire.ts"
import * as Envelope from "../Envelope.ts"
import { urlOf } from "../JobView.ts"
import { keeping } from "../KeptReply.ts"
import { CurrentRequestId } from "../RequestId.ts"

export interface SpeechOptions {
  /** Code points; a longer text becomes a job. */
  readonly asyncThresholdChars: number
}

export const layer = ({ asyncThresholdChars }: SpeechOptions) =>
  HttpApiBuilder.group(
    Api,
    "speech",
    Effect.fnUntraced(function*(handlers) {
      const synthesis = yield* Synthesis
      const encoder = yield* AudioEncoder
      const idempotency = yield* Idempotency
      const jobs = yield* JobRepo
      const licences = yield* Licences

      /** Speaks and answers; the audio starts to flow when the response is written. */
      const speak = Effect.fnUntraced(function*(caller: AuthUser, request: SpeakRequest, asJson: boolean) {
        const speech = yield* synthesis.speak({
          requestId: yield* CurrentRequestId,
          caller,
          text: request.text,
          voiceId: request.voiceId,
          languageHint: request.languageHint,
          params: paramsOf(request),
          preference: request.backendPreference,
          wordTimes: request.timestamps === "word",
          tags: request.tags ?? []
        })
        const sampleRate = rateFor(request.responseFormat, speech.plan.sampleRate, request.sampleRate)
        const encode = encoder.encode({
          format: request.responseFormat,
          sourceRate: speech.plan.sampleRate,
          targetRate: sampleRate
        })
        return yield* asJson
          ? jsonReply(request, speech, sampleRate, encode)
          : audioReply(request, speech, sampleRate, encode)
      })

      /** Takes the text as a job; `keep` keeps the reply, in the transaction that takes it. */
      const queue = Effect.fnUntraced(function*(caller: AuthUser, request: SpeakRequest, keep: Keep) {
        const characters = codePoints(request.text)
        const requestId = yield* CurrentRequestId
        const { licenceId, synthesisId } = yield* synthesis.admit(caller, request.voiceId, characters)
        let reply: HttpServerResponse.HttpServerResponse | undefined
        yield* jobs.enqueue(
          { requestId, caller, speak: request, synthesisId, licenceId },
          Effect.fnUntraced(function*(taken) {
            const status_url = urlOf(taken.jobId)
            const accepted = yield* Effect.orDie(encodeAccepted(
              yield* Envelope.ok({
                job_id: taken.jobId,
                status: "queued" as const,
                characters,
                status_url,
                expires_at: DateTime.makeUnsafe(taken.expiresAt)
              })
            ))
            reply = accepted.pipe(
              HttpServerResponse.setStatus(202),
              HttpServerResponse.setHeader("location", status_url)
            )
            yield* keep(reply)
          })
        ).pipe(Effect.onError(() =>
          licenceId === null
            ? Effect.void
            : Effect.ignore(licences.giveBack(licenceId, request.voiceId, characters), { log: "Warn" })
        ))
        return reply!
      })

      const isJob = ({ forceAsync, text }: SpeakRequest) => forceAsync || codePoints(text) > asyncThresholdChars

      /** The same key and body get the first reply again; what failed or was abandoned may be tried again. */
      const speakOnce = Effect.fnUntraced(function*(
        caller: AuthUser,
        request: SpeakRequest,
        asJson: boolean,
        key: string
      ) {
        const begun = yield* idempotency.begin({
          tenantId: caller.tenantId,
          userId: caller.userId,
          route: "POST /speak",
          key,
          bodySha256: createHash("sha256").update(JSON.stringify([asJson, request])).digest("hex")
        })
        if (begun._tag === "Replay") {
          // A voice that was revoked since must not be heard again.
          yield* synthesis.permit(caller, request.voiceId)
          const { body, headers, status } = begun.reply
          return HttpServerResponse.uint8Array(body, { status, headers: { ...headers, "idempotent-replayed": "true" } })
        }
        if (isJob(request)) {
          return yield* queue(
            caller,
            request,
            ({ body, headers, status }) =>
              body._tag === "Uint8Array"
                ? begun.save({ status, headers: { ...headers }, body: body.body })
                : Effect.void
          )
        }
        const response = yield* speak(caller, request, asJson)
        return yield* keeping(
          response,
          (body) => begun.save({ status: response.status, headers: { ...response.headers }, body })
        )
      })

      return handlers.handle(
        "speak",
        Effect.fnUntraced(function*({ headers, payload: request }) {
          const caller = yield* Caller
          caller.resourceId = request.voiceId
          if (request.saveTo !== undefined) {
            if (caller.user.credential.kind !== "jwt") return yield* new SaveToRequiresJwt()
            return yield* InvalidRequest.field("save_to", "no ScaiDrive is configured here")
          }
          const asJson = request.timestamps === "word" || wantsJson(headers.accept)
          const key = headers["idempotency-key"]
          return yield* key === undefined
            ? isJob(request)
              ? queue(caller.user, request, () => Effect.void)
              : speak(caller.user, request, asJson)
            : speakOnce(caller.user, request, asJson, key)
        }, Envelope.answerFailures)
      )
    })
  )

/** Keeps a reply for whoever asks the same again. */
type Keep = (reply: HttpServerResponse.HttpServerResponse) => Effect.Effect<void, StorageUnavailable>

const encodeAccepted = HttpServerResponse.schemaJson(Ok(Accepted))

type Encode = ReturnType<AudioEncoder["Service"]["encode"]>

/** `application/json` named by the caller, and not merely allowed by a wildcard. */
const wantsJson = (accept: string | undefined) =>
  accept !== undefined && accept.split(",").some((range) => range.split(";")[0]!.trim() === "application/json")

const planHeaders = ({ plan }: Speech, sampleRate: number) => ({
  "x-scaispeak-synthesis-id": plan.synthesisId,
  "x-scaispeak-backend": plan.backend,
  "x-scaispeak-characters": String(plan.characters),
  "x-scaispeak-voice-id": plan.voice.voiceId,
  "x-scaispeak-sample-rate": String(sampleRate),
  ...(plan.ignoredParams.length === 0 ? {} : { "x-scaispeak-ignored-params": plan.ignoredParams.join(", ") })
})

const audioReply = Effect.fnUntraced(function*(
  { responseFormat }: SpeakRequest,
  speech: Speech,
  sampleRate: number,
  encode: Encode
) {
  const { socket } = NodeHttpServerRequest.toIncomingMessage(yield* HttpServerRequest.HttpServerRequest)
  // A reset takes back what lies in the buffers of the connection: they hold a minute of speech.
  speech.onStop(() => socket.resetAndDestroy())
  return yield* Effect.map(stepStream("http.encode", encode(speech.audio)), (body) =>
    HttpServerResponse.stream(body, {
      contentType: formats[responseFormat].contentType(sampleRate),
      headers: planHeaders(speech, sampleRate)
    }))
})

const jsonReply = Effect.fnUntraced(function*(
  { responseFormat, timestamps }: SpeakRequest,
  { audio, plan }: Speech,
  sampleRate: number,
  encode: Encode
) {
  const words: Array<SpokenWord> = []
  let pcmBytes = 0
  const encoded = yield* audio.pipe(
    Stream.tap((chunk) =>
      Effect.sync(() => {
        pcmBytes += chunk.pcm.length
        words.push(...chunk.words)
      })
    ),
    encode,
    Stream.runCollect
  )
  const file = completed(responseFormat, Buffer.concat(encoded))
  const reply = yield* Envelope.ok({
    synthesis_id: plan.synthesisId,
    backend_used: plan.backend,
    characters: plan.characters,
    audio_duration_ms: millisOfBytes(pcmBytes, plan.sampleRate),
    response_format: responseFormat,
    sample_rate: sampleRate,
    ignored_params: plan.ignoredParams,
    audio_base64: Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString("base64"),
    ...(timestamps === "word" ? { words } : {})
  })
  return yield* Effect.orDie(encodeReply(reply))
})

const encodeReply = HttpServerResponse.schemaJson(Ok(SpeakReply))
