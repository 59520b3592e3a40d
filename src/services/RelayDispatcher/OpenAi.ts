/**
 * Relays that speak OpenAI's `POST /audio/speech`: OpenAI itself, Kokoro-FastAPI, speaches, LocalAI, vLLM-Omni.
 *
 * Raw PCM is asked for; without another word of the relay it is s16le mono at 24 kHz
 * (platform.openai.com/docs/guides/text-to-speech).
 */
import { HttpClientRequest } from "effect/http"
import type { SpeechParams } from "../../domain/SpeechParams.ts"
import { kokoroFacts } from "./KokoroName.ts"
import { dig } from "./RelayKind.ts"
import type { RelayKind } from "./RelayKind.ts"
import { relaySpeaker } from "./RelaySpeaker.ts"
import type { RelaySpeaker } from "./RelaySpeaker.ts"

export const openAi = (options: { readonly url: string; readonly model: string }): RelayKind => {
  const isOpenAi = new URL(options.url).hostname === "api.openai.com"
  // "Does not work with tts-1 or tts-1-hd" (OpenAI, createSpeech, `instructions`).
  const takesInstructions = !options.model.startsWith("tts-1")
  const ignored: ReadonlyArray<keyof SpeechParams> = [
    ...(takesInstructions ? [] : ["instructions"] as const),
    "cfgValue",
    "seed"
  ]
  return {
    authorize: HttpClientRequest.bearerToken,
    speech: ({ params, text }, speaker) => ({
      ignored,
      request: HttpClientRequest.post("/audio/speech").pipe(
        HttpClientRequest.bodyJsonUnsafe({
          model: options.model,
          input: text,
          voice: speaker,
          response_format: "pcm",
          // vLLM-Omni and LocalAI send the first sample only with the last one unless asked; OpenAI streams as it is.
          ...(isOpenAi ? {} : { stream: true }),
          ...(params.speed === undefined ? {} : { speed: params.speed }),
          ...(params.instructions === undefined || !takesInstructions ? {} : { instructions: params.instructions })
        })
      )
    }),
    sampleRate: 24_000,
    presets: isOpenAi ? openAiSpeakers : [],
    voicePaths: isOpenAi ? [] : ["/audio/voices", "/voices"],
    speakersOf,
    probePath: "/models",
    // Kokoro-FastAPI wraps its errors in FastAPI's `detail`. OpenAI says which parameter it refuses.
    errorCode: (body) =>
      dig(body, "error", "param") === "voice"
        ? "voice_not_found"
        : dig(body, "error", "code") ?? dig(body, "error", "type") ?? dig(body, "detail", "error")
  }
}

/** Documented voices of `gpt-4o-mini-tts`; OpenAI has no list to ask for. */
const openAiSpeakers: ReadonlyArray<RelaySpeaker> = [
  "alloy",
  "ash",
  "ballad",
  "cedar",
  "coral",
  "echo",
  "fable",
  "marin",
  "nova",
  "onyx",
  "sage",
  "shimmer",
  "verse"
].map((name) => relaySpeaker(name, { displayName: name[0]!.toUpperCase() + name.slice(1), languages: ["en"] }))

/** `{"voices": […]}`, `{"data": […]}` or the bare list, of names or of objects: what compatible servers answer. */
const speakersOf = (body: unknown): ReadonlyArray<RelaySpeaker> => {
  const list = Array.isArray(body) ? body : dig(body, "voices") ?? dig(body, "data")
  return Array.isArray(list) ? list.flatMap(speakerOf) : []
}

const speakerOf = (voice: unknown): ReadonlyArray<RelaySpeaker> => {
  const speaker = typeof voice === "string"
    ? voice
    : [dig(voice, "id"), dig(voice, "voice_id"), dig(voice, "name")].find((name) => typeof name === "string")
  if (typeof speaker !== "string" || speaker === "") return []
  return [relaySpeaker(speaker, {
    displayName: dig(voice, "name"),
    description: dig(voice, "description"),
    gender: dig(voice, "gender"),
    languages: [dig(voice, "language")],
    ...kokoroFacts(speaker)
  })]
}
