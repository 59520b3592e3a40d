/** An engine in a process of its own, with every way that such a process can break: real processes, a scripted model. */
import { describe, it, layer } from "@effect/vitest"
import { status } from "@grpc/grpc-js"
import { Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { fileURLToPath } from "node:url"
import type { PcmChunk } from "../../src/domain/PcmChunk.ts"
import * as EngineProcess from "../../src/engine/EngineProcess.ts"
import { NodeProgram } from "../../src/engine/NodeProgram.ts"
import { EngineState, type SynthesizeRequest } from "../../src/proto/scaiinfer/v1/audio.ts"
import { connect, speak as call } from "./NodeClient.ts"
import type { Script } from "./scriptedChild.ts"

const { FAILED, LOADING, READY } = EngineState

const make = (settings: Script = {}, changes: Partial<EngineProcess.EngineProcessOptions> = {}) =>
  EngineProcess.make({
    name: "scripted",
    entry: new URL("./scriptedChild.ts", import.meta.url),
    settings,
    loadMillisMax: 5000,
    quietMillisMax: 3000,
    cancelMillisMax: 600,
    firstWaitMillis: 5000,
    restartMillisMin: 20,
    ...changes
  })

type Engine = EngineProcess.EngineProcess
class Scripted extends Context.Service<Scripted, Engine>()("test/Scripted") {
  /** Nothing that happens to it loses its process. */
  static readonly layer = Layer.effect(Scripted, make({}, { quietMillisMax: 1000, cancelMillisMax: 3000 }))
}

const request = (text: string, changes: Partial<SynthesizeRequest> = {}): SynthesizeRequest => ({
  requestId: "test",
  engine: "scripted",
  text,
  language: "en",
  voice: { $case: "presetVoice", value: "one" },
  params: undefined,
  ...changes
})

const speech = (engine: Engine, text: string, changes: Partial<SynthesizeRequest> = {}) =>
  Stream.unwrap(Effect.map(engine.speak(request(text, changes)), ({ audio }) => audio))

const speak = (engine: Engine, text: string, changes: Partial<SynthesizeRequest> = {}) =>
  Stream.runCollect(speech(engine, text, changes))

const millisOf = (chunks: ReadonlyArray<PcmChunk>) => chunks.reduce((sum, { pcm }) => sum + pcm.length, 0) / 32

const until = (is: () => boolean, millisMax = 5000) =>
  Effect.gen(function*() {
    while (!is()) yield* Effect.sleep("5 millis")
  }).pipe(Effect.timeout(millisMax))

/** Processes of the scripted model whose parent is this one. */
const children = () =>
  execFileSync("ps", ["--ppid", String(process.pid), "-o", "pid=,args="], { encoding: "utf8" })
    .split("\n").filter((line) => line.includes("scriptedChild")).map((line) => Number.parseInt(line))

layer(Scripted.layer, { excludeTestServices: true })("an engine in its own process", (it) => {
  it.effect("is LOADING, waits with its first call, then is READY with the facts of its model", () =>
    Effect.gen(function*() {
      const engine = yield* Scripted
      assert.deepEqual([engine.state, engine.presets.length], [LOADING, 0])
      const chunks = yield* speak(engine, "hello there")
      assert.deepEqual([engine.state, engine.stateReason], [READY, ""])
      assert.deepEqual([engine.model, engine.languages, engine.presets[0]?.name], ["scripted", ["en"], "one"])
      assert.equal(millisOf(chunks), 200)
      assert.deepEqual(chunks.flatMap(({ words }) => words), [
        { text: "hello", startMs: 0, endMs: 50, source: "native" },
        { text: "there", startMs: 100, endMs: 150, source: "native" }
      ])
      assert.equal(engine.running(), 0)
    }))

  it.effect("cuts the warm-up, names what it ignores, and refuses what its model cannot speak", () =>
    Effect.gen(function*() {
      const engine = yield* Scripted
      const params = { warmupTrimMs: 130, speed: 1, seed: 7, instructions: "softly" }
      const spoken = yield* engine.speak(request("one two", { params }))
      assert.deepEqual([spoken.ignoredParams, spoken.sampleRate], [["instructions", "seed"], 16000])
      const chunks = yield* Stream.runCollect(spoken.audio)
      assert.equal(millisOf(chunks), 70)
      assert.deepEqual(chunks.flatMap(({ words }) => words)[1], {
        text: "two",
        startMs: 0,
        endMs: 20,
        source: "native"
      })

      const refusals: ReadonlyArray<readonly [string, string, Partial<SynthesizeRequest>]> = [
        ["language", "hallo", { language: "de-AT" }],
        ["voice", "hello", { voice: { $case: "presetVoice", value: "two" } }],
        ["voice", "hello", {
          voice: { $case: "reference", value: { pcm: new Uint8Array(2), transcript: "", sha256: "" } }
        }],
        ["text", "refuse", {}],
        ["text", "nothing", {}],
        ["warmup_trim_ms", "one", { params: { warmupTrimMs: 100 } }]
      ]
      for (const [field, text, changes] of refusals) {
        const failure = yield* Effect.flip(speak(engine, text, changes))
        assert.ok(failure._tag === "InvalidRequest", text)
        assert.equal(failure.details[0]?.field, field)
      }
      // A region does not matter.
      assert.equal(millisOf(yield* speak(engine, "hello", { language: "en-GB" })), 100)
    }))

  it.effect("makes no more than a listener takes, serves others meanwhile, and does not call it a hang", () =>
    Effect.gen(function*() {
      const engine = yield* Scripted
      let chunks = 0
      const fiber = yield* speech(engine, "megabyte ".repeat(20).trim()).pipe(
        Stream.runForEach(() => {
          chunks++
          return chunks === 1 ? Effect.sleep("1500 millis") : Effect.void
        }),
        Effect.forkChild
      )
      yield* until(() => chunks === 1)
      yield* Effect.sleep("1200 millis")
      assert.deepEqual([engine.state, engine.running()], [READY, 1])
      const report = (yield* speak(engine, "report")).flatMap(({ words }) => words)
      // One is taken, and one waits.
      assert.deepEqual(report.map(({ text }) => text), ["2"])
      yield* Fiber.join(fiber)
      assert.equal(chunks, 20)
    }))

  it.effect("fails the call whose model breaks, and no other", () =>
    Effect.gen(function*() {
      const engine = yield* Scripted
      const [broken, other] = yield* Effect.all([
        Effect.flip(speak(engine, "one break")),
        speak(engine, "one slow two")
      ], { concurrency: 2 })
      assert.deepEqual([broken._tag, broken.message], ["EngineFailed", "the model broke"])
      assert.equal(millisOf(other), 300)
      assert.equal(engine.state, READY)
    }))

  it.effect("stops inside the process when nobody listens any more", () =>
    Effect.gen(function*() {
      const engine = yield* Scripted
      const first = yield* Stream.runHead(speech(engine, "slow ".repeat(50).trim()))
      assert.equal(first._tag, "Some")
      assert.equal(engine.running(), 1)
      yield* until(() => engine.running() === 0, 500)
      assert.equal(engine.state, READY)
    }))
})

describe("a process that is lost", () => {
  for (
    const [how, reason] of [
      ["exit", /its process ended with code 3/u],
      ["hang", /it said nothing for 600 ms/u],
      ["block", /it said nothing for 600 ms/u]
    ] as const
  ) {
    it.live(`fails the calls of a process that ${how}s, says why, and speaks again`, () =>
      Effect.gen(function*() {
        const engine = yield* make({}, { restartMillisMin: 300, quietMillisMax: 600 })
        yield* speak(engine, "warm")
        const began = performance.now()
        const failure = yield* Effect.flip(speak(engine, `one ${how}`))
        assert.equal(failure._tag, "EngineFailed")
        assert.match(failure.message, reason)
        assert.ok(performance.now() - began < 2000)
        yield* until(() => engine.state === LOADING)
        assert.match(engine.stateReason, reason)
        // What it was is still known, and a call does not wait.
        assert.equal(engine.model, "scripted")
        assert.match((yield* Effect.flip(speak(engine, "too early"))).message, reason)
        yield* until(() => engine.state === READY)
        assert.equal(millisOf(yield* speak(engine, "hello")), 100)
        assert.equal(children().length, 1)
      }))
  }

  it.live("goes on when its process is killed in the middle of a call", () =>
    Effect.gen(function*() {
      const engine = yield* make()
      const fiber = yield* Effect.forkChild(Effect.flip(speak(engine, "slow ".repeat(50).trim())))
      yield* until(() => engine.running() === 1)
      for (const pid of children()) process.kill(pid, "SIGKILL")
      assert.match((yield* Fiber.join(fiber)).message, /ended with SIGKILL/u)
      assert.equal(engine.running(), 0)
      yield* until(() => engine.state === READY)
      assert.equal(millisOf(yield* speak(engine, "hello")), 100)
    }))

  it.live("ends a call of its node with INTERNAL when it is lost in the middle, and with UNAVAILABLE before", () =>
    Effect.gen(function*() {
      const client = yield* connect((yield* NodeProgram).address)
      const cut = yield* call(client, { text: "one slow exit", voice: "one" })
      assert.equal(cut.failure?.code, status.INTERNAL)
      assert.ok(cut.chunks.length > 0)
      const early = yield* call(client, { text: "hello", voice: "one" })
      assert.equal(early.failure?.code, status.UNAVAILABLE)
      assert.match(early.failure.details, /^engine scripted is not ready: its process ended with code 3$/u)
    }).pipe(Effect.provide(NodeProgram.layerEngines(
      { host: "127.0.0.1", port: 0, nodeId: "test", capacity: 4, queue: 2, drainMillis: 1000 },
      Effect.map(make({}, { restartMillisMin: 5000 }), (engine) => [engine])
    ))))

  it.live("kills a process that does not stop", () =>
    Effect.gen(function*() {
      const engine = yield* make()
      const [pid] = yield* Effect.as(speak(engine, "warm"), children())
      yield* Stream.runHead(speech(engine, "deaf"))
      assert.equal(engine.running(), 1)
      yield* until(() => engine.state === LOADING && engine.stateReason.includes("did not stop a cancelled call"))
      yield* until(() => engine.state === READY)
      assert.notEqual(children()[0], pid)
    }))

  for (
    const [load, reason] of [
      ["break", /no such model/u],
      ["exit", /ended with SIGABRT: terminate called: bad model/u],
      ["hang", /did not speak within 500 ms/u],
      ["mute", /silence/u],
      ["empty", /no audio/u]
    ] as const
  ) {
    it.live(`says why its model cannot be used when loading it means to ${load}`, () =>
      Effect.gen(function*() {
        const engine = yield* make({ load }, { loadMillisMax: load === "hang" ? 500 : 5000 })
        assert.match((yield* Effect.flip(speak(engine, "hello"))).message, reason)
        assert.deepEqual([engine.state, engine.running()], [LOADING, 0])
        assert.match(engine.stateReason, reason)
      }))
  }

  it.live("is FAILED after three models in a row that cannot be used", () =>
    Effect.gen(function*() {
      const engine = yield* make({ load: "mute" })
      yield* Effect.flip(speak(engine, "hello"))
      assert.equal(engine.state, LOADING)
      yield* until(() => engine.state === FAILED)
      assert.match(engine.stateReason, /silence/u)
      yield* until(() => children().length === 0)
    }))

  it.live("is FAILED at once when trying again cannot help", () =>
    Effect.gen(function*() {
      const engine = yield* make({ load: "lasting" })
      assert.match((yield* Effect.flip(speak(engine, "hello"))).message, /a package is missing/u)
      assert.equal(engine.state, FAILED)
    }))

  it.live("leaves no process behind when its scope closes, whatever that is doing", () =>
    Effect.gen(function*() {
      for (const text of ["slow slow slow", "block", "hang"]) {
        const scope = yield* Scope.make()
        const engine = yield* Scope.provide(make({}, { quietMillisMax: 60_000 }), scope)
        const fiber = yield* Effect.forkChild(Effect.flip(speak(engine, text)))
        yield* until(() => engine.running() === 1)
        yield* Scope.close(scope, Exit.void)
        assert.equal(children().length, 0)
        assert.match((yield* Fiber.join(fiber)).message, /shutting down/u)
      }
    }))

  it.live("leaves no process behind when its node is killed, even one that holds its thread", () =>
    Effect.gen(function*() {
      const parent = spawn(process.execPath, [
        "--disable-warning=ExperimentalWarning",
        fileURLToPath(new URL("./lonelyNode.ts", import.meta.url))
      ], { stdio: ["ignore", "pipe", "inherit"] })
      const [line] = (yield* Effect.promise(() => once(parent.stdout, "data"))) as [Buffer]
      const pid = Number(line.toString())
      parent.kill("SIGKILL")
      const isGone = () => {
        try {
          return process.kill(pid, 0) && false
        } catch {
          return true
        }
      }
      yield* until(isGone, 3000)
    }))
})
