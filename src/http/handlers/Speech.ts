/** `POST /speak`: carries a request to {@link Synthesis} and its audio to the socket, as bytes or as JSON. */
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Effect, Stream } from "effect"
import { HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { formats, millisOfBytes } from "../../domain/AudioFormat.ts"
import { InvalidRequest, SaveToRequiresJwt } from "../../domain/Failure.ts"
import type { SpokenWord } from "../../domain/PcmChunk.ts"
import type { AuthUser } from "../../domain/Permission.ts"
import { codePoints, paramsOf } from "../../domain/SpeakRequest.ts"
import type { SpeakRequest } from "../../domain/SpeakRequest.ts"
import { AudioEncoder, completed, rateFor } from "../../services/AudioEncoder.ts"
import { CurrentRequestId } from "../../services/CurrentRequestId.ts"
import { Idempotency } from "../../services/Idempotency.ts"
import { Synthesis } from "../../services/Synthesis.ts"
import type { Speech } from "../../services/Synthesis.ts"
import { stepStream } from "../../services/Trace.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import { SpeakReply } from "../api/Speech.ts"
import { Ok } from "../api/Wire.ts"
import * as Envelope from "../Envelope.ts"
import { once } from "../Once.ts"
import * as SpeakLater from "../SpeakLater.ts"

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
      const speakLater = yield* SpeakLater.make

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

      return handlers.handle(
        "speak",
        Effect.fnUntraced(function*({ headers, payload: request }) {
          const caller = yield* Caller
          caller.resourceId = request.voiceId
          if (request.saveTo !== undefined) {
            if (caller.user.credential.kind !== "jwt") return yield* new SaveToRequiresJwt()
            return yield* InvalidRequest.field("save_to", "no ScaiDrive is configured here")
          }
          const later = request.forceAsync || codePoints(request.text) > asyncThresholdChars
          if (request.callbackUrl !== undefined && !later) {
            return yield* InvalidRequest.field("callback_url", "this text is spoken at once: set force_async for a job")
          }
          const asJson = request.timestamps === "word" || wantsJson(headers.accept)
          return yield* once(idempotency, {
            key: headers["idempotency-key"],
            route: "POST /speak",
            caller: caller.user,
            request: [asJson, request],
            // A voice that was revoked since must not be heard again.
            permit: () => synthesis.permit(caller.user, request.voiceId),
            answer: later
              ? (keep) => speakLater(caller.user, request, keep)
              : speak(caller.user, request, asJson),
            voiceId: () => request.voiceId
          })
        }, Envelope.answerFailures)
      )
    })
  )

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
