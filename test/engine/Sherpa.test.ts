/** The engine sherpa with the real sherpa-onnx and a model that the test writes: each character is a tone. */
import { describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import assert from "node:assert/strict"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { EngineProcess } from "../../src/engine/EngineProcess.ts"
import * as Flite from "../../src/engine/Flite.ts"
import { NodeProgram } from "../../src/engine/NodeProgram.ts"
import * as Sherpa from "../../src/engine/Sherpa.ts"
import { EngineState, type GetInfoResponse, type SynthesizeRequest } from "../../src/proto/scaiinfer/v1/audio.ts"
import { connect, samplesOf, speak as call } from "./NodeClient.ts"
import { characterSamples, type OnnxVoice, sampleRate, writeVoice } from "./sherpa/OnnxVoice.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-sherpa-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const deadlines = { quietMillisMax: 3000, cancelMillisMax: 3000, loadMillisMax: 10_000, firstWaitMillis: 10_000 }

/** An engine whose model lies in a folder of that name. */
const make = (voice: OnnxVoice = {}, name = "vits-tones-en", changes = {}) =>
  Effect.gen(function*() {
    const path = join(yield* folder, name)
    yield* Effect.promise(() => writeVoice(path, voice))
    return yield* Sherpa.make({ folder: path, deadlines: { ...deadlines, ...changes } })
  })

const speak = (
  engine: EngineProcess,
  text: string,
  { params, preset = engine.presets[0]?.name ?? "ada" }: {
    readonly preset?: string
    readonly params?: SynthesizeRequest["params"]
  } = {}
) =>
  Effect.gen(function*() {
    const { audio, ...speech } = yield* engine.speak({
      requestId: "test",
      engine: "sherpa",
      text,
      language: "en",
      voice: { $case: "presetVoice", value: preset },
      params
    })
    const chunks = yield* Stream.runCollect(audio)
    const bytes = Buffer.concat(chunks.map(({ pcm }) => pcm))
    return { ...speech, chunks, samples: new Int16Array(new Uint8Array(bytes).buffer) }
  })

const power = (samples: Int16Array) => samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length

const until = (is: () => boolean, millisMax = 10_000) =>
  Effect.gen(function*() {
    while (!is()) yield* Effect.sleep("5 millis")
  }).pipe(Effect.timeout(millisMax))

class Engine extends Context.Service<Engine, EngineProcess>()("test/Engine") {
  static readonly layer = Layer.effect(
    Engine,
    make({
      speakers: 3,
      notes: {
        model: "tones",
        version: "7",
        speakers: ["ada", { name: "bob", display_name: "Bob", gender: "male", style_tags: ["calm"] }],
        deterministic: true
      }
    })
  )
}

layer(Engine.layer, { excludeTestServices: true })("a model of sherpa-onnx", (it) => {
  it.effect("speaks sentence by sentence, at its own rate", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const text = "Hello there. How are you? Fine!"
      const { chunks, deterministic, ignoredParams, sampleRate: rate, samples } = yield* speak(engine, text)
      assert.deepEqual([rate, ignoredParams, deterministic], [sampleRate, [], true])
      assert.equal(chunks.length, 3)
      // A space between sentences is not spoken.
      assert.equal(samples.length, (text.length - 2) * characterSamples)
      assert.ok(power(samples) > 1e7)
      assert.deepEqual((yield* speak(engine, text)).samples, samples)
    }))

  it.effect("has the facts of its files and notes, and a preset for each speaker", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      yield* speak(engine, "Hi.")
      assert.deepEqual([engine.model, engine.modelVersion, engine.languages], ["tones", "7", ["en"]])
      assert.deepEqual(engine.abilities, { cloning: 0, design: false, nativeWordTimes: false, streaming: true })
      assert.deepEqual(engine.presets.map(({ displayName, gender, name }) => `${name} ${displayName} ${gender}`), [
        "ada ada unspecified",
        "bob Bob male",
        "speaker-2 speaker-2 unspecified"
      ])
      assert.equal((yield* speak(engine, "Hi.", { preset: "speaker-2" })).samples.length, 3 * characterSamples)
    }))

  it.effect("keeps the pace, cuts the warm-up, and says what it ignores", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const text = "Four hours of steady work faced us."
      const plain = yield* speak(engine, text)
      const fast = yield* speak(engine, text, { params: { speed: 2 } })
      assert.equal(plain.samples.length, 2 * fast.samples.length)
      const trimmed = yield* speak(engine, text, { params: { warmupTrimMs: 100, seed: 1, cfgValue: 2 } })
      assert.deepEqual(trimmed.samples, plain.samples.subarray(1600))
      assert.deepEqual(trimmed.ignoredParams, ["cfg_value", "seed"])
    }))

  it.effect("refuses a text in which the model finds nothing to say", () =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(speak(yield* Engine, "日本語"))
      assert.equal(failure._tag === "InvalidRequest" && failure.details[0]?.field, "text")
    }))

  it.effect("stops when nobody listens", () =>
    Effect.gen(function*() {
      const engine = yield* Engine
      const { audio } = yield* engine.speak({
        requestId: "test",
        engine: "sherpa",
        text: "One more sentence is spoken. ".repeat(2000),
        language: "en",
        voice: { $case: "presetVoice", value: "ada" },
        params: undefined
      })
      yield* Stream.runHead(audio)
      yield* until(() => engine.running() === 0, 1000)
      assert.equal((yield* speak(engine, "Next.")).samples.length, 5 * characterSamples)
    }))
})

describe("a model that cannot be used", () => {
  it.live("leaves the node's other engine alone when it hangs, and the node says so", () =>
    Effect.gen(function*() {
      let sherpa: EngineProcess | undefined
      const engines = Effect.gen(function*() {
        sherpa = yield* make({ misordered: true }, "vits-broken-en", {
          loadMillisMax: 1000,
          firstWaitMillis: 100,
          restartMillisMin: 20
        })
        return [yield* Flite.make({ workers: 1 }), sherpa]
      })
      const options = { host: "127.0.0.1", port: 0, nodeId: "test", capacity: 4, queue: 2, drainMillis: 1000 }
      yield* Effect.gen(function*() {
        const client = yield* connect((yield* NodeProgram).address)
        yield* until(() => sherpa?.state === EngineState.FAILED)
        const refused = yield* call(client, { text: "Hello.", engine: "sherpa", voice: "default" })
        assert.match(
          refused.failure!.message,
          /UNAVAILABLE: engine sherpa is not ready: its model did not speak within/u
        )
        assert.equal(samplesOf(yield* call(client, { text: "Hello." })).length > 1000, true)
        const info = yield* Effect.callback<GetInfoResponse>((resume) => {
          client.getInfo({}, (_, response) => resume(Effect.succeed(response)))
        })
        assert.deepEqual(info.engines.map(({ engine, state }) => [engine, state]), [
          ["flite", EngineState.READY],
          ["sherpa", EngineState.FAILED]
        ])
        assert.match(info.engines[1]!.stateReason, /did not speak within 1000 ms/u)
      }).pipe(Effect.provide(NodeProgram.layerEngines(options, engines)))
    }))

  const cases: ReadonlyArray<readonly [string, RegExp, (path: string) => Promise<void>]> = [
    ["is silent", /silence/u, (path) => writeVoice(path, { loudness: 0 })],
    ["is no model", /no model of a known family/u, (path) => mkdir(path)],
    ["is not there", /no such folder/u, async () => {}],
    ["is damaged", /Load model from .*model\.onnx failed/u, async (path) => {
      await writeVoice(path)
      await writeFile(join(path, "model.onnx"), "not a model")
    }],
    ["has notes with a typo", /scaispeak\.json: .*speaker/u, (path) => writeVoice(path, { notes: { speaker: [] } })]
  ]
  for (const [what, reason, write] of cases) {
    it.live(`says why when it ${what}`, () =>
      Effect.gen(function*() {
        const path = join(yield* folder, "model")
        yield* Effect.promise(() => write(path))
        const engine = yield* Sherpa.make({ folder: path, deadlines })
        const failure = yield* Effect.flip(speak(engine, "Hello."))
        assert.match(failure.message.replaceAll("\n", " "), reason)
      }))
  }
})
