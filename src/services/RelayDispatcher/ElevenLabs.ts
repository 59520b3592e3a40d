/**
 * ElevenLabs: `POST /text-to-speech/{voice}/stream`, answered with raw PCM at the rate that was asked for
 * (elevenlabs.io/docs/api-reference/text-to-speech/stream).
 *
 * 24 kHz is the highest rate that every plan may ask for.
 */
import { Redacted } from "effect"
import { HttpClientRequest } from "effect/http"
import type { SpeechParams } from "../../domain/SpeechParams.ts"
import { dig } from "./RelayKind.ts"
import type { RelayKind } from "./RelayKind.ts"
import { relaySpeaker } from "./RelaySpeaker.ts"
import type { RelaySpeaker } from "./RelaySpeaker.ts"

/** Hz. */
const sampleRate = 24_000

/** Of `voice_settings.speed`; values outside are refused by the API. */
const speedMin = 0.7
const speedMax = 1.2

export const elevenLabs = (options: { readonly model: string }): RelayKind => ({
  authorize: (request, key) => HttpClientRequest.setHeader(request, "xi-api-key", Redacted.value(key)),
  speech: ({ language, params, text, voice }, speaker) => {
    const speed = params.speed === undefined ? undefined : Math.min(speedMax, Math.max(speedMin, params.speed))
    const ignored: ReadonlyArray<keyof SpeechParams> = [
      ...(speed === params.speed ? [] : ["speed"] as const),
      "instructions",
      "cfgValue"
    ]
    return {
      ignored,
      request: HttpClientRequest.post(`/text-to-speech/${encodeURIComponent(speaker)}/stream`).pipe(
        HttpClientRequest.setUrlParam("output_format", `pcm_${sampleRate}`),
        HttpClientRequest.bodyJsonUnsafe({
          text,
          model_id: options.model,
          ...(takesLanguage.test(options.model) && language !== voice.languagePrimary
            ? { language_code: language }
            : {}),
          ...(params.seed === undefined ? {} : { seed: params.seed }),
          ...(speed === undefined ? {} : { voice_settings: { speed } })
        })
      )
    }
  },
  sampleRate,
  presets: [],
  voicePaths: ["/voices"],
  speakersOf: (body) => {
    const voices = dig(body, "voices")
    return Array.isArray(voices) ? voices.flatMap(speakerOf) : []
  },
  probePath: "/models",
  // `code` took the place of `status` (elevenlabs.io/docs/eleven-api/resources/errors); both are in use.
  errorCode: (body) => dig(body, "detail", "code") ?? dig(body, "detail", "status")
})

/**
 * Models that can be told a language; the others refuse a request that names one. It is named only where the caller
 * wants another than the voice's own: the models hear by themselves which language a text is in.
 */
const takesLanguage = /_v2_5$|_v3/u

const speakerOf = (voice: unknown): ReadonlyArray<RelaySpeaker> => {
  const speaker = dig(voice, "voice_id")
  if (typeof speaker !== "string" || speaker === "") return []
  const labels = (name: string) => dig(voice, "labels", name)
  const verified = dig(voice, "verified_languages")
  return [relaySpeaker(speaker, {
    displayName: dig(voice, "name"),
    description: dig(voice, "description") ?? labels("description"),
    gender: labels("gender"),
    languages: [
      labels("language"),
      ...(Array.isArray(verified) ? verified.map((entry) => dig(entry, "language")) : [])
    ],
    styleTags: [labels("accent"), labels("age"), labels("descriptive") ?? labels("description"), labels("use_case")]
  })]
}
