/** Reference clips over real gRPC, in front of an engine that keeps what it is asked. */
import { layer } from "@effect/vitest"
import { status } from "@grpc/grpc-js"
import { Context, Effect, Layer, Stream } from "effect"
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import type { Engine } from "../../../src/engine/Engine.ts"
import { NodeProgram } from "../../../src/engine/NodeProgram.ts"
import {
  Cloning,
  EngineState,
  type GetInfoResponse,
  type SynthesizeRequest,
  type VoiceReference
} from "../../../src/proto/scaiinfer/v1/audio.ts"
import { connect, finish } from "../NodeClient.ts"

class Asked extends Context.Service<Asked, Array<SynthesizeRequest>>()("test/Asked") {}

const recorder = (asked: Array<SynthesizeRequest>): Engine => ({
  name: "recorder",
  state: EngineState.READY,
  stateReason: "",
  model: "recorder",
  modelVersion: "1",
  languages: ["en"],
  abilities: { cloning: Cloning.ZERO_SHOT, design: false, nativeWordTimes: false, streaming: true },
  presets: [],
  speak: (request) =>
    Effect.sync(() => {
      asked.push(request)
      return { sampleRate: 16_000, ignoredParams: [], deterministic: true, audio: Stream.empty }
    }),
  running: () => 0
})

/** Room for three clips of a second. */
const referenceBytesMax = 96_000
const Node = Layer.unwrap(Effect.map(Asked, (asked) =>
  NodeProgram.layerEngines(
    { host: "127.0.0.1", port: 0, nodeId: "test", capacity: 4, queue: 2, drainMillis: 1000, referenceBytesMax },
    Effect.succeed([recorder(asked)])
  ))).pipe(Layer.provideMerge(Layer.sync(Asked, () => [])))

const clip = (bytes = 32_000) => {
  const pcm = new Uint8Array(randomBytes(bytes))
  return { pcm, sha256: createHash("sha256").update(pcm).digest("hex") }
}
const nothing = new Uint8Array(0)

layer(Node, { excludeTestServices: true })("reference clips at a node", (it) => {
  const client = Effect.flatMap(NodeProgram, ({ address }) => connect(address))

  /** The engine's view of the clip, or the call's failure. */
  const follow = Effect.fnUntraced(function*(reference: Partial<VoiceReference>) {
    const asked = yield* Asked
    const before = asked.length
    const call = (yield* client).synthesize({
      requestId: "test",
      engine: "",
      text: "Hello.",
      language: "en",
      voice: { $case: "reference", value: { pcm: nothing, sha256: "", transcript: "as said", ...reference } },
      params: undefined
    })
    const { failure } = yield* Effect.promise(() => finish(call))
    const [request] = asked.slice(before)
    assert.equal(request === undefined, failure !== undefined, "the engine is asked when the call is not refused")
    return { failure, seen: request?.voice?.$case === "reference" ? request.voice.value : undefined }
  })

  const held = Effect.flatMap(client, (it) =>
    Effect.callback<ReadonlyArray<string>>((resume) => {
      it.getInfo({}, (_, response: GetInfoResponse) =>
        resume(Effect.succeed(response.heldReferences.map((digest) =>
          Buffer.from(digest).toString("hex")
        ))))
    }))

  it.effect("reach the engine whole, sent inline or named by their hash", () =>
    Effect.gen(function*() {
      const { pcm, sha256 } = clip()
      for (const reference of [{ pcm, sha256 }, { sha256 }, { pcm }, { sha256 }]) {
        const { seen } = yield* follow(reference)
        assert.deepEqual(seen && { ...seen, pcm: new Uint8Array(seen.pcm) }, { pcm, sha256, transcript: "as said" })
        assert.equal(seen!.pcm.byteOffset % 2, 0)
        assert.equal(seen!.pcm.buffer.byteLength, pcm.length, "nothing else is held with it")
      }
      assert.equal((yield* held)[0], sha256)
    }))

  it.effect("are asked for whole when they are not held", () =>
    Effect.gen(function*() {
      const { failure } = yield* follow({ sha256: clip().sha256 })
      assert.equal(failure?.code, status.FAILED_PRECONDITION)
      assert.equal(failure.details, "reference: not held here")
    }))

  const { pcm, sha256 } = clip()
  const refused: ReadonlyArray<readonly [what: string, reference: Partial<VoiceReference>, details: RegExp]> = [
    ["have another hash", { pcm, sha256: clip().sha256 }, /^reference: has another sha256/u],
    ["have a hash in capitals", { pcm, sha256: sha256.toUpperCase() }, /^reference: has another sha256/u],
    ["end inside a sample", { pcm: pcm.subarray(1) }, /^reference: .*whole samples/u],
    ["are nothing", {}, /^reference: has neither/u],
    ["are longer than two minutes", { pcm: new Uint8Array(3_840_002) }, /^reference: .*120 s/u]
  ]
  for (const [what, reference, details] of refused) {
    it.effect(`are refused that ${what}, and not held`, () =>
      Effect.gen(function*() {
        const before = yield* held
        const { failure } = yield* follow(reference)
        assert.equal(failure?.code, status.INVALID_ARGUMENT)
        assert.match(failure.details, details)
        assert.deepEqual(yield* held, before)
      }))
  }

  it.effect("make room when they were used longest ago", () =>
    Effect.gen(function*() {
      const [a, b, c, d] = [clip(), clip(), clip(), clip()]
      for (const one of [a, b, c]) yield* follow(one)
      yield* follow({ sha256: a.sha256 })
      yield* follow(d)
      assert.deepEqual(yield* held, [d.sha256, a.sha256, c.sha256])
      assert.equal((yield* follow({ sha256: b.sha256 })).failure?.code, status.FAILED_PRECONDITION)
      assert.equal((yield* follow(b)).failure, undefined)
      assert.deepEqual(yield* held, [b.sha256, d.sha256, a.sha256])
    }))

  it.effect("of two minutes pass, held or not", () =>
    Effect.gen(function*() {
      const long = clip(3_840_000)
      assert.equal((yield* follow(long)).seen?.pcm.length, 3_840_000)
      assert.ok(!(yield* held).includes(long.sha256), "larger than this node's room")
    }))
})

layer(Node, { excludeTestServices: true })("a node with many small clips", (it) => {
  it.effect("names the 1024 that were used last", () =>
    Effect.gen(function*() {
      const client = yield* Effect.flatMap(NodeProgram, ({ address }) => connect(address))
      const clips = Array.from({ length: 1100 }, () => clip(64))
      for (const one of clips) {
        const call = client.synthesize({
          requestId: "",
          engine: "",
          text: "x",
          language: "",
          voice: { $case: "reference", value: { ...one, transcript: "" } },
          params: undefined
        })
        yield* Effect.promise(() => finish(call))
      }
      const { heldReferences } = yield* Effect.callback<GetInfoResponse>((resume) => {
        client.getInfo({}, (_, response) => resume(Effect.succeed(response)))
      })
      assert.deepEqual(
        heldReferences.map((digest) => Buffer.from(digest).toString("hex")),
        clips.slice(-1024).toReversed().map(({ sha256 }) => sha256)
      )
    }))
})
