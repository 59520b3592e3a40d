import { describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import assert from "node:assert/strict"
import { Breakers } from "../../src/services/Breakers.ts"
import type { DispatchRequest } from "../../src/services/Dispatch.ts"
import { NodeDirectory } from "../../src/services/NodeDirectory.ts"
import { NodeRegistry } from "../../src/services/NodeRegistry.ts"
import { ReferenceCache } from "../../src/services/ReferenceCache.ts"
import { ScaiInferDispatcher } from "../../src/services/ScaiInferDispatcher.ts"
import * as ScriptedNode from "../layers/ScriptedNode.ts"
import { scripted, voice } from "../layers/voices.ts"

const request = (name: string, fields: Partial<DispatchRequest> = {}): DispatchRequest => ({
  requestId: "syn_test",
  text: "Anything.",
  language: "en",
  params: {},
  voice: scripted(name),
  ...fields
})

/** A dispatcher over one scripted node that is known to be ready. */
const setUp = Effect.gen(function*() {
  const node = yield* ScriptedNode.make
  const context = yield* Layer.build(
    ScaiInferDispatcher.layer({ chunkTimeoutMs: 500, engine: "default" }).pipe(
      Layer.provideMerge(NodeRegistry.layer({ addresses: [node.address] })),
      Layer.provide(NodeDirectory.layerMemory),
      Layer.provide(Breakers.layerMemory({ failures: 1000, openMs: 1000 })),
      Layer.provide(Layer.succeed(ReferenceCache, clips))
    )
  )
  const dispatcher = yield* Effect.provideContext(ScaiInferDispatcher, context)
  yield* Effect.repeat(
    Effect.andThen(Effect.sleep(5), Effect.sync(() => dispatcher.availability(scripted("say")).available)),
    {
      until: (ready) => ready
    }
  )
  const dispatch = (request: DispatchRequest, tried = new Set<string>()) =>
    dispatcher.dispatch(request, { firstAudioMsMax: 1000, tried, note: () => {} })
  return { node, dispatcher, dispatch }
})

const clip = { pcm: new Uint8Array(320).fill(7), sha256: "cd".repeat(32) }
const reference = { sha256: "ab".repeat(32), durationMs: 5000, objectKey: "k", transcript: "What is said." }
/** A clip of that hash, whatever is asked for. */
const clips = ReferenceCache.of({
  get: () => Effect.succeed(clip),
  prefetch: () => Effect.void,
  drop: () => Effect.void,
  held: () => [],
  stats: () => ({
    memoryHits: 0,
    diskHits: 0,
    misses: 0,
    entries: { memory: 0, disk: 0 },
    bytes: { memory: 0, disk: 0 }
  })
})

const settled = (condition: () => boolean) =>
  Effect.repeat(Effect.andThen(Effect.sleep(2), Effect.sync(condition)), { until: (met) => met }).pipe(
    Effect.timeout("5 seconds")
  )

describe("ScaiInferDispatcher", () => {
  it.live("passes on every byte of the engine's audio, in order, as views", () =>
    Effect.gen(function*() {
      const { dispatch, node } = yield* setUp
      const dispatched = yield* dispatch(
        request("say", { params: { speed: 1.5, seed: 7, warmupTrimMs: 40 }, language: "en" })
      )
      assert.deepEqual(
        { ...dispatched, audio: undefined },
        {
          backend: "A",
          nodeId: "scripted",
          engine: "scripted",
          model: "scripted 1",
          sampleRate: 16000,
          ignoredParams: ["seed"],
          deterministic: false,
          audio: undefined
        }
      )
      const chunks = yield* Stream.runCollect(dispatched.audio)
      assert.ok(Buffer.concat(chunks.map(({ pcm }) => pcm)).equals(ScriptedNode.spoken))
      const [sent] = node.requests
      assert.deepEqual(sent!.voice, { $case: "presetVoice", value: "say" })
      assert.equal(sent!.params!.speed, 1.5)
      assert.equal(sent!.params!.seed, 7)
      assert.equal(sent!.params!.cfgValue, undefined)
    }))

  it.live("carries the engine's word times as native", () =>
    Effect.gen(function*() {
      const { dispatch } = yield* setUp
      const { audio } = yield* dispatch(request("words"))
      const words = (yield* Stream.runCollect(audio)).flatMap((chunk) => chunk.words)
      assert.deepEqual(words, [{ text: "ramp", startMs: 0, endMs: 1500, source: "native" }])
    }))

  it.live.each(
    [
      ["full", "BackendSaturated"],
      ["refuse", "InvalidRequest"],
      ["gone", "BackendUnavailable"],
      ["crash", "BackendFailed"]
    ] as const
  )("maps a node that answers with %s before its header to %s", ([name, tag]) =>
    Effect.gen(function*() {
      const { dispatch, dispatcher, node } = yield* setUp
      const failure = yield* Effect.scoped(Effect.flip(dispatch(request(name))))
      assert.equal(failure._tag, tag)
      if (failure._tag === "BackendSaturated") assert.equal(failure.retryAfter, 4, "forty queued calls")
      if (failure._tag === "InvalidRequest") {
        assert.deepEqual(failure.details, [{ field: "language_hint", message: "only English is spoken" }])
      }
      yield* settled(() => dispatcher.active() === 0 && node.open() === 0)
    }))

  it.live.each(["break", "cut"])(
    "fails the audio of a node that stops by %s in mid-speech",
    (name) =>
      Effect.gen(function*() {
        const { dispatch } = yield* setUp
        const { audio } = yield* dispatch(request(name))
        let bytes = 0
        const failure = yield* audio.pipe(
          Stream.runForEach(({ pcm }) => Effect.sync(() => (bytes += pcm.length))),
          Effect.flip
        )
        assert.equal(failure._tag, "BackendFailed")
        assert.ok(bytes > 0, "what had been spoken was passed on")
      })
  )

  it.live("gives up on a node that goes silent in mid-speech", () =>
    Effect.gen(function*() {
      const { dispatch, dispatcher, node } = yield* setUp
      const failure = yield* Effect.scoped(
        Effect.flatMap(dispatch(request("stall")), ({ audio }) => Effect.flip(Stream.runDrain(audio)))
      )
      assert.deepEqual([failure._tag, failure._tag === "BackendTimeout" && failure.waitedMs], ["BackendTimeout", 500])
      yield* settled(() => node.open() === 0 && dispatcher.active() === 0)
    }))

  it.live("cancels the call when its scope closes, wherever it stands", () =>
    Effect.gen(function*() {
      const { dispatch, dispatcher, node } = yield* setUp
      for (const name of ["mute", "stall", "forever"]) {
        const scope = yield* Scope.make()
        const running = yield* dispatch(request(name)).pipe(
          Effect.flatMap(({ audio }) => Stream.runDrain(audio)),
          Scope.provide(scope),
          Effect.forkChild
        )
        yield* settled(() => node.open() === 1)
        yield* Fiber.interrupt(running)
        yield* Scope.close(scope, Exit.void)
        yield* settled(() => node.open() === 0 && dispatcher.active() === 0)
      }
    }))

  it.live("holds the node back while nobody reads", () =>
    Effect.gen(function*() {
      const { dispatch, node } = yield* setUp
      const { audio } = yield* dispatch(request("forever"))
      const first = yield* Stream.runHead(audio)
      assert.equal(first._tag, "Some")
      const before = process.memoryUsage().rss
      yield* Effect.sleep("300 millis")
      // A node that were not held back would have sent some hundred MB by now.
      assert.ok(process.memoryUsage().rss - before < 64 * 2 ** 20)
      assert.equal(node.open(), 1)
    }))

  it.live("is unavailable while no node is ready, and says why", () =>
    Effect.gen(function*() {
      const { dispatch, dispatcher, node } = yield* setUp
      assert.deepEqual(dispatcher.availability({ ...scripted("say"), preset: { engine: "none", name: "x" } }), {
        available: false,
        reason: "no node with engine none is ready"
      })
      yield* node.stop
      yield* settled(() => !dispatcher.availability(scripted("say")).available)
      const failure = yield* Effect.scoped(Effect.flip(dispatch(request("say"))))
      assert.equal(failure._tag, "BackendUnavailable")
    }))

  it.live("sends a reference clip to a node that lacks it, and only its hash from then on", () =>
    Effect.gen(function*() {
      const { dispatch, node } = yield* setUp
      const cloned = request("", { voice: voice({ kind: "cloned", reference }) })
      const sent = Effect.map(Effect.sync(() => node.requests.at(-1)!.voice), (asked) => {
        assert.equal(asked?.$case, "reference")
        return asked?.$case === "reference" ? asked.value : assert.fail()
      })
      yield* Effect.flatMap(dispatch(cloned), ({ audio }) => Stream.runDrain(audio))
      assert.deepEqual({ ...(yield* sent) }, {
        pcm: Buffer.from(clip.pcm),
        sha256: clip.sha256,
        transcript: "What is said."
      })
      yield* Effect.flatMap(dispatch(cloned), ({ audio }) => Stream.runDrain(audio))
      assert.equal((yield* sent).pcm.length, 0)
      // It has made room for others meanwhile.
      node.forget()
      yield* Effect.flatMap(dispatch(cloned), ({ audio }) => Stream.runDrain(audio))
      assert.equal((yield* sent).pcm.length, clip.pcm.length)
      yield* settled(() => node.open() === 0)
    }))

  it.live("sends a prompt to a node that designs", () =>
    Effect.gen(function*() {
      const { dispatch, node } = yield* setUp
      yield* dispatch(request("", { voice: voice({ kind: "designed", designPrompt: "a deep voice" }) }))
      assert.deepEqual(node.requests.at(-1)?.voice, { $case: "designPrompt", value: "a deep voice" })
    }))

  it.live("asks no node twice for a call", () =>
    Effect.gen(function*() {
      const { dispatch, node } = yield* setUp
      const failure = yield* Effect.scoped(Effect.flip(dispatch(request("say"), new Set([node.address]))))
      assert.equal(failure._tag, "BackendUnavailable")
      assert.equal(node.requests.length, 0)
    }))
})
