/** `POST /voices/{id}/preview`: the one pipeline, its audio in one reply. */
import { Effect, Stream } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { millisOfBytes } from "../../domain/AudioFormat.ts"
import { PreviewRequest, sentenceIn } from "../../domain/PreviewText.ts"
import { AudioEncoder, completed, rateFor } from "../../services/AudioEncoder.ts"
import { CurrentRequestId } from "../../services/CurrentRequestId.ts"
import { Synthesis } from "../../services/Synthesis.ts"
import { VoiceRepo } from "../../services/VoiceRepo.ts"
import { Api } from "../Api.ts"
import * as Envelope from "../Envelope.ts"
import { formFields } from "../FormFields.ts"
import { named } from "../NamedVoice.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "preview",
  Effect.fnUntraced(function*(handlers) {
    const synthesis = yield* Synthesis
    const encoder = yield* AudioEncoder
    const voices = yield* VoiceRepo

    return handlers.handle(
      "preview",
      Effect.fnUntraced(function*({ params, payload }) {
        const { id, user } = yield* named(params)
        const { responseFormat = "mp3", text: wanted } = Stream.isStream(payload)
          ? yield* formFields(PreviewRequest, payload)
          : payload
        const text = wanted ?? sentenceIn((yield* voices.find(user, id)).languagePrimary)
        const { audio, plan } = yield* synthesis.speak({
          requestId: yield* CurrentRequestId,
          caller: user,
          text,
          voiceId: id,
          params: {},
          preference: "any",
          wordTimes: false,
          tags: ["preview"]
        })
        const sourceRate = plan.sampleRate
        const targetRate = rateFor(responseFormat, sourceRate, undefined)
        let pcmBytes = 0
        const encoded = yield* audio.pipe(
          Stream.tap(({ pcm }) => Effect.sync(() => void (pcmBytes += pcm.length))),
          encoder.encode({ format: responseFormat, sourceRate, targetRate }),
          Stream.runCollect
        )
        const file = completed(responseFormat, Buffer.concat(encoded))
        return yield* Envelope.ok({
          voice_id: id,
          synthesis_id: plan.synthesisId,
          backend_used: plan.backend,
          text,
          characters: plan.characters,
          audio_duration_ms: millisOfBytes(pcmBytes, sourceRate),
          response_format: responseFormat,
          sample_rate: targetRate,
          audio_base64: Buffer.from(file.buffer, file.byteOffset, file.byteLength).toString("base64")
        })
      }, Envelope.answerFailures)
    )
  })
)
