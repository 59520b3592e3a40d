/** What only one kind of relay does: its words, its parameters, its list of speakers. */
import { layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { RelayDispatcher } from "../../../src/services/RelayDispatcher.ts"
import type { RelayOptions } from "../../../src/services/RelayDispatcher.ts"
import { attempt, dispatcherAt, heard, Relay, relayKey, relayState, relayText, request } from "../../layers/relays.ts"

const asked = Effect.fnUntraced(function*(
  kind: RelayOptions["kind"],
  params: Record<string, unknown>,
  options: Partial<RelayOptions> = {}
) {
  const { url } = yield* Relay
  const { dispatched } = yield* heard("alloy", params).pipe(Effect.provide(dispatcherAt(`${url}/v1`, kind, options)))
  return { call: (yield* relayState).calls.at(-1), ignored: dispatched.ignoredParams }
})

const listed = Effect.fnUntraced(function*(
  path: string,
  kind: RelayOptions["kind"],
  options: Partial<RelayOptions> = {}
) {
  const { url } = yield* Relay
  const base = path.startsWith("http") ? path : url + path
  return yield* RelayDispatcher.use(({ speakers }) => speakers).pipe(Effect.provide(dispatcherAt(base, kind, options)))
})

const everything = { speed: 1.5, instructions: "softly", cfgValue: 3, seed: 7, warmupTrimMs: 10 }

layer(Relay.layer, { excludeTestServices: true })("a relay of kind openai", (it) => {
  it.effect("is asked in OpenAI's words, with its own key", () =>
    Effect.gen(function*() {
      const { call, ignored } = yield* asked("openai", everything)
      assert.deepEqual(call, {
        path: "/v1/audio/speech",
        key: `Bearer ${relayKey}`,
        body: {
          model: "gpt-4o-mini-tts",
          input: relayText,
          voice: "alloy",
          response_format: "pcm",
          stream: true,
          speed: 1.5,
          instructions: "softly"
        }
      })
      assert.deepEqual(ignored, ["cfg_value", "seed"])
    }))

  it.effect("is given no instructions for a model that has no ear for them", () =>
    Effect.gen(function*() {
      const { call, ignored } = yield* asked("openai", everything, { model: "tts-1-hd" })
      assert.equal((call!.body as { instructions?: string }).instructions, undefined)
      assert.deepEqual(ignored, ["instructions", "cfg_value", "seed"])
    }))

  it.effect("is sent nothing that nobody asked for, and no key where there is none", () =>
    Effect.gen(function*() {
      const { call, ignored } = yield* asked("openai", {}, { apiKey: undefined })
      assert.equal(call!.key, undefined)
      assert.deepEqual(Object.keys(call!.body as object), ["model", "input", "voice", "response_format", "stream"])
      assert.deepEqual(ignored, [])
    }))

  it.effect("lists speakers by name, and says what Kokoro's names say", () =>
    Effect.gen(function*() {
      const [emma, alex, blend, ...others] = yield* listed("/kokoro/v1", "openai")
      assert.deepEqual(emma, {
        speaker: "bf_emma",
        displayName: "Emma",
        description: "Preset speaker of the managed relay.",
        gender: "female",
        languages: ["en"],
        styleTags: ["british"]
      })
      assert.deepEqual([alex!.displayName, alex!.gender, alex!.languages], ["Alex", "male", ["pt"]])
      assert.deepEqual([blend!.speaker, blend!.displayName, blend!.gender], [
        "af_sky+af_bella",
        "af_sky+af_bella",
        "unspecified"
      ])
      assert.deepEqual(others, [])
    }))

  it.effect("lists speakers where others keep them", () =>
    Effect.gen(function*() {
      assert.deepEqual(yield* listed("/other/v1", "openai"), [{
        speaker: "one",
        displayName: "Uno",
        description: "Preset speaker of the managed relay.",
        gender: "male",
        languages: ["it"],
        styleTags: []
      }])
    }))

  it.effect("has the documented speakers when it is OpenAI itself, and none when it cannot list them", () =>
    Effect.gen(function*() {
      const names = (yield* listed("https://api.openai.com/v1", "openai")).map(({ speaker }) => speaker)
      for (
        const name of ["alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse"]
      ) {
        assert.ok(names.includes(name), name)
      }
      assert.deepEqual(yield* listed("/bare/v1", "openai"), [])
    }))
})

layer(Relay.layer, { excludeTestServices: true })("a relay of kind elevenlabs", (it) => {
  it.effect("is asked in ElevenLabs' words, with its own key", () =>
    Effect.gen(function*() {
      const { call, ignored } = yield* asked("elevenlabs", { ...everything, speed: 1.1 })
      assert.deepEqual(call, {
        path: "/v1/text-to-speech/alloy/stream?output_format=pcm_24000",
        key: relayKey,
        body: { text: relayText, model_id: "eleven_flash_v2_5", seed: 7, voice_settings: { speed: 1.1 } }
      })
      assert.deepEqual(ignored, ["instructions", "cfg_value"])
    }))

  it.effect.each([[2, 1.2], [0.5, 0.7]])(
    "is asked for the nearest pace to %d, which is reported",
    ([speed, nearest]) =>
      Effect.gen(function*() {
        const { call, ignored } = yield* asked("elevenlabs", { speed })
        assert.deepEqual((call!.body as { voice_settings: unknown }).voice_settings, { speed: nearest })
        assert.deepEqual(ignored, ["speed"])
      })
  )

  it.effect.each([
    ["eleven_flash_v2_5", "de", "de"],
    ["eleven_v3", "de", "de"],
    ["eleven_flash_v2_5", "en", undefined],
    ["eleven_multilingual_v2", "de", undefined]
  ])("is told, as %s for a text in %s, the language %s", ([model, language, code]) =>
    Effect.gen(function*() {
      const { url } = yield* Relay
      yield* RelayDispatcher.use(({ dispatch }) => dispatch({ ...request("alloy"), language: language! }, attempt()))
        .pipe(
          Effect.scoped,
          Effect.provide(dispatcherAt(`${url}/v1`, "elevenlabs", { model: model! }))
        )
      assert.equal(((yield* relayState).calls.at(-1)!.body as { language_code?: string }).language_code, code)
    }))

  it.effect("lists its voices with what their labels say", () =>
    Effect.gen(function*() {
      const speakers = yield* listed("/v1", "elevenlabs")
      assert.deepEqual(speakers.find(({ displayName }) => displayName === "Rachel"), {
        speaker: "21m00Tcm4TlvDq8ikWAM",
        displayName: "Rachel",
        description: "Matter-of-fact.",
        gender: "female",
        languages: ["en", "de"],
        styleTags: ["american", "young", "narration"]
      })
      assert.ok(speakers.some(({ speaker }) => speaker === "alloy"))
    }))

  it.effect.each(["/away/v1", "/narrow/v1"])(
    "is away rather than empty when it does not list them now: %s",
    (path) =>
      Effect.gen(function*() {
        assert.equal((yield* Effect.flip(listed(path, "elevenlabs")))._tag, "BackendUnavailable")
      })
  )

  it.effect("speaks with the configured voices, described where it describes them", () =>
    Effect.gen(function*() {
      const voices = ["21m00Tcm4TlvDq8ikWAM", "unheard-of"]
      const names = (path: string) =>
        Effect.map(listed(path, "elevenlabs", { voices }), (list) => list.map(({ displayName }) => displayName))
      assert.deepEqual(yield* names("/v1"), ["Rachel", "unheard-of"])
      assert.deepEqual(yield* names("/away/v1"), voices)
    }))
})
