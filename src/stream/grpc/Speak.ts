/** `Speak`: one text through the whole pipeline; header, audio as it is encoded, words, done. */
import { Effect, Result, Schema, SchemaIssue, Stream } from "effect"
import { formats, millisOfBytes } from "../../domain/AudioFormat.ts"
import { InvalidRequest } from "../../domain/Failure.ts"
import type { SpokenWord } from "../../domain/PcmChunk.ts"
import { SpeakRequest } from "../../domain/SpeakRequest.ts"
import * as wire from "../../proto/scaispeak/v1/speak.ts"
import { AudioEncoder, rateFor } from "../../services/AudioEncoder.ts"
import { Synthesis } from "../../services/Synthesis.ts"
import type { Caller } from "./Calls.ts"
import { literalOf, numberOf, snaked } from "./Enums.ts"
import type { Sink } from "./Sink.ts"

const decode = Schema.decodeUnknownResult(SpeakRequest)
const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** The bounds of `POST /speak`. */
export const speakRequestOf = (message: wire.SpeakRequest): Result.Result<SpeakRequest, InvalidRequest> =>
  Result.mapError(
    decode(
      snaked({
        ...message,
        responseFormat: literalOf(wire.AudioFormat, message.responseFormat),
        backendPreference: literalOf(wire.BackendPreference, message.backendPreference),
        timestamps: literalOf(wire.Timestamps, message.timestamps)
      }),
      { errors: "all" }
    ),
    ({ issue }) =>
      new InvalidRequest({
        details: format(issue).issues.map(({ message, path = [] }) => ({
          field: path.length === 0 ? "message" : path.map(String).join("."),
          message
        }))
      })
  )

/** `breakOff` drops what waits for the client: the voice was stopped. */
export const make = Effect.gen(function*() {
  const synthesis = yield* Synthesis
  const encoder = yield* AudioEncoder

  return Effect.fnUntraced(function*(
    message: wire.SpeakRequest,
    caller: Caller,
    { write }: Sink,
    breakOff: () => void
  ) {
    caller.resourceId = message.voiceId
    const request = yield* Effect.fromResult(speakRequestOf(message))
    const { cfgValue, instructions, responseFormat, seed, speed, warmupTrimMs } = request
    const { audio, onStop, plan } = yield* synthesis.speak({
      requestId: caller.requestId,
      caller: caller.user,
      text: request.text,
      voiceId: request.voiceId,
      languageHint: request.languageHint,
      params: {
        ...(speed === undefined ? {} : { speed }),
        ...(instructions === undefined ? {} : { instructions }),
        ...(cfgValue === undefined ? {} : { cfgValue }),
        ...(seed === undefined ? {} : { seed }),
        ...(warmupTrimMs === undefined ? {} : { warmupTrimMs })
      },
      preference: request.backendPreference,
      wordTimes: request.timestamps === "word",
      tags: request.tags ?? []
    })
    onStop(breakOff)
    const sampleRate = rateFor(responseFormat, plan.sampleRate, request.sampleRate)
    // Encoded here, once: what an encoder gives may be changed by its next output.
    const send = (event: NonNullable<wire.SpeakEvent["event"]>) => write(wire.SpeakEvent.encode({ event }).finish())
    yield* send({
      $case: "header",
      value: {
        synthesisId: plan.synthesisId,
        backendUsed: numberOf(wire.Backend, plan.backend),
        voiceId: plan.voice.voiceId,
        characters: plan.characters,
        sampleRate,
        contentType: formats[responseFormat].contentType(sampleRate),
        ignoredParams: [...plan.ignoredParams]
      }
    })
    let pcmBytes = 0
    let words: Array<SpokenWord> = []
    const sendWords = Effect.suspend(() => {
      if (words.length === 0) return Effect.void
      const value = { words: words.map((word) => ({ ...word, source: numberOf(wire.WordSource, word.source) })) }
      words = []
      return send({ $case: "words", value })
    })
    const encoded = audio.pipe(
      Stream.tap((chunk) =>
        Effect.sync(() => {
          pcmBytes += chunk.pcm.length
          words.push(...chunk.words)
        })
      ),
      encoder.encode({ format: responseFormat, sourceRate: plan.sampleRate, targetRate: sampleRate })
    )
    yield* Stream.runForEach(
      encoded,
      (bytes) => Effect.andThen(sendWords, send({ $case: "audio", value: bytes }))
    )
    yield* sendWords
    yield* send({ $case: "done", value: { audioDurationMs: millisOfBytes(pcmBytes, plan.sampleRate) } })
  })
})
