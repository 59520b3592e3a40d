/** The engine espeak with the real package, which the set-up of the tests installs. */
import { describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import assert from "node:assert/strict"
import type { PcmChunk } from "../../src/domain/PcmChunk.ts"
import type { EngineProcess } from "../../src/engine/EngineProcess.ts"
import * as Engines from "../../src/engine/Engines.ts"
import * as Espeak from "../../src/engine/Espeak.ts"
import { activeLevel } from "../../src/engine/flite/Loudness.ts"
import { NodeProgram } from "../../src/engine/NodeProgram.ts"
import { EngineState, type ListVoicesResponse, type SynthesizeRequest } from "../../src/proto/scaiinfer/v1/audio.ts"
import { espeakFolder } from "../servers/Optional.ts"
import { connect, speak as call } from "./NodeClient.ts"

class Engine extends Context.Service<Engine, EngineProcess>()("test/Engine") {
  static readonly layer = Layer.effect(Engine, Espeak.make({ folder: espeakFolder }))
}

const request = (text: string, voice: string, params?: SynthesizeRequest["params"]): SynthesizeRequest => ({
  requestId: "test",
  engine: "espeak",
  text,
  language: "",
  voice: { $case: "presetVoice", value: voice },
  params
})

const speak = (engine: EngineProcess, text: string, voice: string, params?: SynthesizeRequest["params"]) =>
  Effect.flatMap(engine.speak(request(text, voice, params)), ({ audio }) => Stream.runCollect(audio))

const samplesOf = (chunks: ReadonlyArray<PcmChunk>) =>
  new Int16Array(new Uint8Array(Buffer.concat(chunks.map(({ pcm }) => pcm))).buffer)
const wordsOf = (chunks: ReadonlyArray<PcmChunk>) => chunks.flatMap(({ words }) => words)

layer(Engine.layer, { excludeTestServices: true })("espeak", (it) => {
  it.effect("speaks in chunks of a tenth of a second, with the times of its words", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const { audio, sampleRate } = yield* engine.speak(
        request("He paid $3.50, didn't he? Yes & no, I think so!", "en-us")
      )
      const chunks = yield* Stream.runCollect(audio)
      const samples = samplesOf(chunks)
      assert.equal(sampleRate, 22050)
      assert.ok(chunks.every(({ pcm }) => pcm.length <= 4412), "no chunk is long")
      assert.ok(Math.abs(activeLevel(samples, sampleRate) + 20) < 2, `${activeLevel(samples, sampleRate)}`)
      const words = wordsOf(chunks)
      assert.deepEqual(words.map(({ text }) => text), "He paid $3.50 didn't he Yes & no I think so".split(" "))
      let before = 0
      for (const { endMs, startMs } of words) {
        assert.ok(startMs >= before && endMs > startMs && endMs <= samples.length / 22.05 + 1)
        before = endMs
      }
    }))

  it.effect("speaks a hundred languages, each in its own way", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      yield* speak(engine, "Warm.", "en")
      assert.ok(
        engine.languages.length > 90 &&
          ["de", "fr", "hi", "nb", "no", "sw", "zh"].every((code) => engine.languages.includes(code))
      )
      const texts = { de: "Schöne Grüße aus Köln.", el: "Καλημέρα κόσμε.", hi: "नमस्ते दुनिया", zh: "你好,世界。" }
      for (const [voice, text] of Object.entries(texts)) {
        const chunks = yield* speak(engine, text, voice)
        assert.ok(activeLevel(samplesOf(chunks), 22050) > -25, voice)
        assert.ok(wordsOf(chunks).length >= 2, voice)
      }
      // Another voice of the same language is another speaker.
      const lengths = yield* Effect.forEach(["en", "en-us", "en-us+f2", "en-gb-scotland"], (voice) =>
        Effect.map(speak(engine, "The quick brown fox.", voice), (chunks) => samplesOf(chunks).length))
      assert.equal(new Set(lengths).size, 4)
    }))

  it.effect("keeps the pace and cuts the warm-up", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const text = "Four hours of steady work faced us."
      const [plain, fast, slow] = yield* Effect.forEach(
        [1, 2, 0.5],
        (speed) => Effect.map(speak(engine, text, "en", { speed }), (chunks) => samplesOf(chunks).length)
      )
      assert.ok(
        Math.abs(plain! / fast! / 2 - 1) < 0.1 && Math.abs(slow! / plain! / 2 - 1) < 0.1,
        `${plain} ${fast} ${slow}`
      )
      const trimmed = samplesOf(yield* speak(engine, text, "en", { warmupTrimMs: 500 })).length
      assert.ok(Math.abs(plain! - trimmed - 11025) < 50)
    }))

  it.effect("does not take text for markup", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const chunks = yield* speak(engine, "<break time=\"9s\"/> one", "en")
      assert.ok(samplesOf(chunks).length < 6 * 22050)
      assert.equal(wordsOf(chunks).at(-1)?.text, "one")
    }))

  it.effect("refuses a language that the voice does not speak", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const failure = yield* Effect.flip(engine.speak({ ...request("Hallo", "en"), language: "de" }))
      assert.ok(failure._tag === "InvalidRequest" && failure.details[0]?.message === "this voice speaks en")
    }))

  it.effect("stops within a sentence when nobody listens", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      yield* Stream.runHead(Stream.unwrap(
        Effect.map(engine.speak(request("A long text is spoken here. ".repeat(1000), "en")), ({ audio }) => audio)
      ))
      const began = performance.now()
      while (engine.running() > 0) yield* Effect.sleep("5 millis")
      assert.ok(performance.now() - began < 1000)
    }))
})

describe("a node with engines", () => {
  const options = { host: "127.0.0.1", port: 0, nodeId: "test", capacity: 4, queue: 2, drainMillis: 1000 }

  it.live("loads those it is set to, the first by default, and lists the voices of those that are ready", () =>
    Effect.gen(function*() {
      const client = yield* connect((yield* NodeProgram).address)
      const spoken = yield* call(client, { text: "Hello.", voice: "en" })
      assert.deepEqual([spoken.header?.engine, spoken.header?.sampleRate], ["espeak", 22050])
      assert.equal((yield* call(client, { text: "Hello.", engine: "flite" })).header?.engine, "flite")
      const { voices } = yield* Effect.callback<ListVoicesResponse>((resume) => {
        client.listVoices({}, (_, response) => resume(Effect.succeed(response)))
      })
      assert.deepEqual([...new Set(voices.map(({ engine }) => engine))], ["espeak", "flite"])
    }).pipe(Effect.provide(NodeProgram.layerEngines(
      options,
      Engines.load({ nodeEngines: ["espeak", "flite"], sherpaModel: undefined, espeakPackage: espeakFolder }, 1)
    ))))

  it.live("says how to install a package that is missing", () =>
    Effect.gen(function*() {
      const engine = yield* Espeak.make({ folder: "/nowhere" })
      const failure = yield* Effect.flip(engine.speak(request("Hello.", "en")))
      assert.match(failure.message, /npm install --no-save @echogarden\/espeak-ng-emscripten@0\.3\.5/u)
      assert.equal(engine.state, EngineState.FAILED)
    }))
})
