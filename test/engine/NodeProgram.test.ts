/** The node as its peers see it: real gRPC on loopback, real threads, real speech. */
import { describe, it, layer } from "@effect/vitest"
import { credentials, makeClientConstructor, Metadata, status } from "@grpc/grpc-js"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import assert from "node:assert/strict"
import * as Flite from "../../src/engine/Flite.ts"
import { HealthService } from "../../src/engine/node/Health.ts"
import { NodeProgram } from "../../src/engine/NodeProgram.ts"
import type { GetInfoResponse, ListVoicesResponse, SynthesizeEvent } from "../../src/proto/scaiinfer/v1/audio.ts"
import { connect, finish, samplesOf, speak, start } from "./NodeClient.ts"

const options = { host: "127.0.0.1", port: 0, nodeId: "test", capacity: 4, queue: 2, drainMillis: 5000 }
const Faulty = (changes: Partial<typeof options> = {}, workers = 2) =>
  NodeProgram.layerEngines(
    { ...options, ...changes },
    Effect.map(
      Flite.make({ workers, entry: new URL("./faultyWorker.ts", import.meta.url), pieceMillisMax: 2000 }),
      (flite) => [flite]
    )
  )

const sentence = "The quick brown fox jumps over the lazy dog, and then it sleeps for a while under the old tree. "
const twoThousandCharacters = sentence.repeat(21).slice(0, 2000)

/** Waits until the node's load is as wanted; fails when it is not within `millisMax`. */
const until = (
  node: NodeProgram["Service"],
  wanted: (load: ReturnType<NodeProgram["Service"]["load"]>) => boolean,
  millisMax: number
) =>
  Effect.gen(function*() {
    while (!wanted(node.load())) yield* Effect.sleep("5 millis")
  }).pipe(Effect.timeout(millisMax))

const atRest = (node: NodeProgram["Service"], millisMax: number) =>
  until(node, ({ active, queued, sentencesRunning }) => active + queued + sentencesRunning === 0, millisMax)

layer(NodeProgram.layer({ ...options, workers: 2 }), { excludeTestServices: true })("a node", (it) => {
  const client = Effect.flatMap(NodeProgram, ({ address }) => connect(address))

  it.effect("speaks: header, then words before their audio, then done", () =>
    Effect.gen(function*() {
      const order: Array<string> = []
      const call = start(yield* client, { text: "He paid $3.50, didn't he? Yes, I think so!", voice: "awb" })
      const heard = yield* Effect.promise(() => finish(call, (event) => order.push(event!.$case)))
      assert.deepEqual(heard.header, {
        sampleRate: 16000,
        model: "flite",
        modelVersion: "2.3",
        ignoredParams: [],
        engine: "flite",
        deterministic: true
      })
      assert.match(order.join(), /^header(?:,words(?:,audio)+){2},done$/u)
      const samples = samplesOf(heard)
      const audioMs = samples.length / 16
      assert.ok(Math.abs(heard.done!.audioMs - audioMs) <= 1)
      assert.deepEqual(heard.words.map(({ text }) => text), "He paid $3.50 didn't he Yes I think so".split(" "))
      let before = 0
      for (const { endMs, startMs } of heard.words) {
        assert.ok(startMs >= before && endMs > startMs && endMs <= audioMs)
        before = endMs
      }
      const energy = (from: number, to: number) =>
        samples.subarray(from * 16, to * 16).reduce((sum, sample) => sum + sample * sample, 0) / ((to - from) * 16)
      const spoken = heard.words.map(({ endMs, startMs }) => energy(startMs, endMs))
      const betweenSentences = energy(heard.words[4]!.endMs + 40, heard.words[5]!.startMs - 40)
      assert.ok(spoken.every((power) => power > 20 * betweenSentences), `${spoken} ${betweenSentences}`)
    }))

  it.effect("starts with small messages and goes on with large ones, all whole samples", () =>
    Effect.gen(function*() {
      const heard = yield* speak(yield* client, { text: twoThousandCharacters })
      const sizes = heard.chunks.map(({ length }) => length)
      assert.ok(sizes[0]! <= 1280 && Math.max(...sizes) <= 65536 && sizes.filter((size) => size === 65536).length > 10)
      assert.ok(sizes.every((size) => size % 2 === 0))
    }))

  it.effect("keeps the pace, the trim, and says which parameters it cannot honour", () =>
    Effect.gen(function*() {
      const it = yield* client
      const text = "Four hours of steady work faced us."
      const plain = yield* speak(it, { text })
      const fast = yield* speak(it, { text, params: { speed: 2 } })
      assert.ok(Math.abs(plain.done!.audioMs / fast.done!.audioMs / 2 - 1) < 0.05)
      const trimmed = yield* speak(it, {
        text,
        params: { warmupTrimMs: 500, cfgValue: 2, instructions: "calmly", seed: 7 }
      })
      assert.equal(plain.done!.audioMs - trimmed.done!.audioMs, 500)
      assert.deepEqual(samplesOf(trimmed), samplesOf(plain).subarray(8000))
      assert.equal(trimmed.words.at(-1)!.endMs, plain.words.at(-1)!.endMs - 500)
      assert.deepEqual(trimmed.header!.ignoredParams, ["cfg_value", "instructions", "seed"])
    }))

  it.effect("says who it is and lists its voices", () =>
    Effect.gen(function*() {
      const it = yield* client
      const info = yield* Effect.callback<GetInfoResponse>((resume) => {
        it.getInfo({}, (_, response) => resume(Effect.succeed(response)))
      })
      assert.deepEqual([info.nodeId, info.draining, info.load!.capacity], ["test", false, 4])
      assert.deepEqual(info.engines.map(({ abilities, engine, languages }) => ({ abilities, engine, languages })), [{
        engine: "flite",
        languages: ["en"],
        abilities: { cloning: 1, design: true, nativeWordTimes: true, streaming: true }
      }])
      const { voices } = yield* Effect.callback<ListVoicesResponse>((resume) => {
        it.listVoices({}, (_, response) => resume(Effect.succeed(response)))
      })
      assert.deepEqual(voices.map(({ gender, name }) => `${name} ${gender}`), [
        "awb male",
        "kal16 male",
        "rms male",
        "slt female"
      ])
      assert.ok(
        voices.every((voice) => voice.displayName !== "" && voice.description !== "" && voice.styleTags.length > 0)
      )
    }))

  const refusals = [
    ["a voice it has not", { text: "Hi", voice: "nobody" }, status.INVALID_ARGUMENT, /^voice: /u],
    ["a language it has not", { text: "Hi", language: "fr" }, status.INVALID_ARGUMENT, /^language: .*French/u],
    ["a script it cannot read", { text: "日本語" }, status.INVALID_ARGUMENT, /^text: .*Han/u],
    ["nothing to say", { text: "😀 !!" }, status.INVALID_ARGUMENT, /^text: .*nothing to say/u],
    ["an empty text", { text: "" }, status.INVALID_ARGUMENT, /^text: /u],
    ["a pace out of range", { text: "Hi", params: { speed: 3 } }, status.INVALID_ARGUMENT, /^speed: /u],
    ["a trim that leaves nothing", { text: "Hi", params: { warmupTrimMs: 5000 } }, status.INVALID_ARGUMENT, /^warmup/u],
    ["an engine it has not", { text: "Hi", engine: "other" }, status.NOT_FOUND, /^engine: /u]
  ] as const
  for (const [what, asked, code, details] of refusals) {
    it.effect(`refuses ${what} before any audio`, () =>
      Effect.gen(function*() {
        const { chunks, failure } = yield* speak(yield* client, asked)
        assert.equal(failure?.code, code)
        assert.match(failure.details, details)
        assert.equal(chunks.length, 0)
      }))
  }

  it.effect("answers to default, to its engine's name and to no name", () =>
    Effect.gen(function*() {
      const it = yield* client
      for (const engine of ["default", "flite", ""]) {
        assert.equal((yield* speak(it, { text: "Hi", engine, language: "" })).header?.engine, "flite")
      }
    }))

  it.effect("stops within a sentence when its peer cancels, and serves the next", () =>
    Effect.gen(function*() {
      const node = yield* NodeProgram
      const it = yield* client
      const call = start(it, { text: twoThousandCharacters, voice: "awb" })
      const heard = yield* Effect.promise(() =>
        finish(call, (event) => {
          if (event?.$case === "audio") call.cancel()
        })
      )
      assert.equal(heard.failure?.code, status.CANCELLED)
      yield* atRest(node, 1000)
      const next = yield* speak(it, { text: "Still here." })
      assert.equal(next.failure, undefined)
    }))

  it.effect("stops when the deadline of a call passes", () =>
    Effect.gen(function*() {
      const node = yield* NodeProgram
      const it = yield* client
      const call = it.synthesize(
        {
          requestId: "",
          engine: "",
          text: sentence.repeat(200),
          language: "",
          voice: { $case: "presetVoice", value: "awb" },
          params: undefined
        },
        new Metadata(),
        { deadline: Date.now() + 400 }
      )
      assert.equal((yield* Effect.promise(() => finish(call))).failure?.code, status.DEADLINE_EXCEEDED)
      yield* atRest(node, 1000)
    }))

  it.effect("makes no more than a slow reader takes, and stops when that one goes away", () =>
    Effect.gen(function*() {
      const node = yield* NodeProgram
      // Half an hour of speech, of which only the header is read.
      const call = start(yield* client, { text: sentence.repeat(300) })
      call.on("error", () => {})
      yield* firstEvent(call)
      call.pause()
      yield* Effect.sleep("1500 millis")
      assert.deepEqual(node.load(), { active: 1, queued: 0, sentencesRunning: 0 })
      call.cancel()
      yield* atRest(node, 1000)
    }))

  it.effect("serves a short text while long ones are spoken", () =>
    Effect.gen(function*() {
      const it = yield* client
      const long = [1, 2, 3].map(() => start(it, { text: sentence.repeat(100), voice: "awb" }))
      const ended = long.map((call) => finish(call, () => {}))
      const began = performance.now()
      const short = yield* speak(it, { text: "Short one.", voice: "kal16" })
      const millis = performance.now() - began
      assert.equal(short.failure, undefined)
      assert.ok(millis < 2500, `${millis}`)
      for (const call of long) call.cancel()
      yield* Effect.promise(() => Promise.all(ended))
      yield* atRest(yield* NodeProgram, 1000)
    }))
})

describe("a node under stress", () => {
  it.live("sends calls away when it is full, with the length of its queue", () =>
    Effect.gen(function*() {
      const node = yield* NodeProgram
      const it = yield* connect(node.address)
      const calls = [1, 2, 3].map(() => start(it, { text: "A slow one. A slow one. A slow one." }))
      const ended = calls.map((call) => finish(call))
      yield* until(node, ({ active, queued }) => active === 1 && queued === 2, 5000)
      const { failure } = yield* speak(it, { text: "One too many." })
      assert.equal(failure?.code, status.RESOURCE_EXHAUSTED)
      assert.deepEqual(failure.metadata.get("scaiinfer-queued"), ["2"])
      // What nobody can speak is refused as such, however full the node is.
      assert.equal((yield* speak(it, { text: "日本語" })).failure?.code, status.INVALID_ARGUMENT)
      // A waiting call that is cancelled leaves its place.
      calls[2]!.cancel()
      const heard = yield* Effect.promise(() => Promise.all(ended))
      assert.deepEqual(heard.map(({ failure }) => failure?.code), [undefined, undefined, status.CANCELLED])
      yield* atRest(node, 1000)
    }).pipe(Effect.provide(Faulty({ capacity: 1, queue: 2 }))))

  it.live("fails one call with INTERNAL when its worker dies, hangs or makes silence, and no other", () =>
    Effect.gen(function*() {
      const node = yield* NodeProgram
      const it = yield* connect(node.address)
      for (const fault of ["crash", "hang", "mute"]) {
        const [broken, other] = yield* Effect.all([
          speak(it, { text: `Please ${fault} now.` }),
          speak(it, { text: "The other one goes on. And on. And on." })
        ], { concurrency: 2 })
        assert.equal(broken.failure?.code, status.INTERNAL, fault)
        assert.equal(broken.chunks.length, 0)
        assert.equal(other.failure, undefined, fault)
        assert.equal((yield* speak(it, { text: "Well again." })).failure, undefined, fault)
      }
      yield* atRest(node, 1000)
    }).pipe(Effect.provide(Faulty())))

  it.live("finishes its calls before it stops, and takes no new ones meanwhile", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const node = yield* Layer.buildWithScope(Faulty(), scope).pipe(
        Effect.flatMap((context) => Effect.provide(NodeProgram, context))
      )
      const it = yield* connect(node.address)
      const health = yield* healthOf(node.address)
      assert.equal(yield* health, true)
      const call = start(it, { text: "A slow one. A slow one. A slow one." })
      const ended = finish(call)
      yield* firstEvent(call)
      const closed = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      assert.equal((yield* speak(it, { text: "Too late." })).failure?.code, status.UNAVAILABLE)
      assert.equal(yield* health, false)
      const info = yield* Effect.callback<GetInfoResponse>((resume) => {
        it.getInfo({}, (_, response) => resume(Effect.succeed(response)))
      })
      assert.equal(info.draining, true)
      const heard = yield* Effect.promise(() => ended)
      assert.equal(heard.failure, undefined)
      assert.ok(heard.done!.audioMs > 1000)
      yield* Fiber.join(closed)
    }))

  it.live("cancels what is not finished when the drain is over", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const node = yield* Layer.buildWithScope(Faulty({ drainMillis: 200 }), scope).pipe(
        Effect.flatMap((context) => Effect.provide(NodeProgram, context))
      )
      const it = yield* connect(node.address)
      const call = start(it, { text: "A slow one. ".repeat(100) })
      const ended = finish(call)
      yield* firstEvent(call)
      const began = performance.now()
      yield* Scope.close(scope, Exit.void)
      assert.ok(performance.now() - began < 2000)
      assert.equal((yield* Effect.promise(() => ended)).failure?.code, status.UNAVAILABLE)
      assert.equal(node.load().active, 0)
    }))

  it.live("says which address it cannot have", () =>
    Effect.gen(function*() {
      const { address } = yield* NodeProgram
      const second = NodeProgram.layer({ ...options, port: Number(address.split(":")[1]), workers: 1 })
      const failure = yield* Effect.flip(Effect.scoped(Layer.build(second)))
      assert.match(failure.message, new RegExp(`cannot listen on ${address}`, "u"))
    }).pipe(Effect.provide(Faulty())))
})

const firstEvent = (call: ReturnType<typeof start>) =>
  Effect.callback<SynthesizeEvent>((resume) => {
    call.once("data", (event: SynthesizeEvent) => resume(Effect.succeed(event)))
  })

const healthOf = (address: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new (makeClientConstructor(HealthService, "Health"))(address, credentials.createInsecure())),
    (client) => Effect.sync(() => client.close())
  ).pipe(
    Effect.map((client) =>
      Effect.callback<boolean>((resume) => {
        client["check"]!({}, (_: unknown, serving: boolean) => resume(Effect.succeed(serving)))
      })
    )
  )
