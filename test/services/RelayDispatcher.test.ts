import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, it, layer } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Redacted, Scope, Stream } from "effect"
import assert from "node:assert/strict"
import { RelayDispatcher } from "../../src/services/RelayDispatcher.ts"
import { voice } from "../layers/voices.ts"
import * as Program from "../programs/Program.ts"

class Relay extends Context.Service<Relay, { readonly url: string }>()("test/Relay") {
  static readonly layer = Layer.effect(
    Relay,
    Effect.map(Program.start("relay.ts"), ({ firstLine }) => ({ url: `http://127.0.0.1:${firstLine}` }))
  )
}

const dispatcherAt = (url: string, voices: ReadonlyArray<string> = []) =>
  RelayDispatcher.layer({
    kind: "openai",
    url,
    apiKey: Redacted.make("sk-relay"),
    model: "tts-1",
    voices,
    firstAudioTimeoutMs: 1000,
    chunkTimeoutMs: 1000
  }).pipe(
    Layer.provide(NodeHttpClient.layerUndici)
  )

const Dispatcher = Layer.unwrap(Effect.map(Relay, ({ url }) => dispatcherAt(`${url}/v1`))).pipe(
  Layer.provideMerge(Relay.layer)
)

const request = (speaker: string | null) => ({
  requestId: "syn_test",
  text: "Anything.",
  language: "en",
  params: { speed: 1.25, seed: 7, instructions: "softly" },
  voice: voice({ relaySpeaker: speaker })
})

const heard = (speaker: string) =>
  Effect.scoped(Effect.gen(function*() {
    const dispatched = yield* (yield* RelayDispatcher).dispatch(request(speaker))
    const chunks = yield* Stream.runCollect(dispatched.audio)
    return { dispatched, pcm: Buffer.concat(chunks.map(({ pcm }) => pcm)), chunks }
  }))

const relayState = Effect.gen(function*() {
  const { url } = yield* Relay
  return (yield* Effect.promise(async () => (await fetch(`${url}/calls`)).json())) as {
    calls: Array<{ authorization: string; body: unknown }>
    open: number
  }
})

const settled = Effect.repeat(Effect.andThen(Effect.sleep(5), relayState), { until: ({ open }) => open === 0 }).pipe(
  Effect.timeout("5 seconds")
)

layer(Dispatcher, { excludeTestServices: true })("RelayDispatcher", (it) => {
  it.effect("asks in OpenAI's words, with its own key, and passes the audio on", () =>
    Effect.gen(function*() {
      const { dispatched, pcm } = yield* heard("alloy")
      assert.equal(pcm.length, 24_000)
      assert.equal(pcm.readInt16LE(23_998), 12_000)
      assert.equal(dispatched.sampleRate, 24_000)
      assert.deepEqual(dispatched.ignoredParams, ["seed"])
      assert.deepEqual((yield* relayState).calls.at(-1), {
        authorization: "Bearer sk-relay",
        body: {
          model: "tts-1",
          input: "Anything.",
          voice: "alloy",
          response_format: "pcm",
          speed: 1.25,
          instructions: "softly"
        }
      })
    }))

  it.effect("puts split samples together again, and believes the rate that the relay names", () =>
    Effect.gen(function*() {
      const { chunks, dispatched, pcm } = yield* heard("odd")
      assert.equal(dispatched.sampleRate, 16_000)
      assert.ok(chunks.every(({ pcm }) => pcm.length % 2 === 0))
      assert.deepEqual(new Int16Array(new Uint8Array(pcm).buffer), Int16Array.from({ length: 12_000 }, (_, i) => i + 1))
    }))

  it.effect.each(
    [
      ["half", "BackendFailed"],
      ["drop", "BackendFailed"],
      ["polite", "BackendSaturated"],
      ["late", "BackendTimeout"],
      ["broken", "BackendFailed"],
      ["excuse", "BackendFailed"],
      ["mute", "BackendTimeout"],
      ["stall", "BackendTimeout"]
    ] as const
  )("maps a relay that is %s to %s", ([speaker, tag]) =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(heard(speaker))
      assert.equal(failure._tag, tag)
      if (failure._tag === "BackendSaturated") assert.equal(failure.retryAfter, 17)
      yield* settled
    }))

  it.effect.each(["mute", "stall"])(
    "aborts the request of a relay that goes %s when the scope closes",
    (speaker) =>
      Effect.gen(function*() {
        const dispatcher = yield* RelayDispatcher
        const scope = yield* Scope.make()
        const running = yield* dispatcher.dispatch(request(speaker)).pipe(
          Effect.flatMap(({ audio }) => Stream.runDrain(audio)),
          Scope.provide(scope),
          Effect.forkChild
        )
        yield* Effect.repeat(Effect.andThen(Effect.sleep(5), relayState), { until: ({ open }) => open === 1 })
        yield* Fiber.interrupt(running)
        yield* Scope.close(scope, Exit.void)
        yield* settled
        assert.equal(dispatcher.active(), 0)
      })
  )

  it.effect("lists the relay's speakers", () =>
    Effect.gen(function*() {
      assert.ok((yield* (yield* RelayDispatcher).speakers).includes("alloy"))
    }))

  it.effect("asks nothing for a voice that nobody speaks there", () =>
    Effect.gen(function*() {
      const before = (yield* relayState).calls.length
      const dispatcher = yield* RelayDispatcher
      const failure = yield* Effect.scoped(Effect.flip(dispatcher.dispatch(request(null))))
      assert.equal(failure._tag, "BackendUnavailable")
      assert.equal((yield* relayState).calls.length, before)
    }))
})

describe("RelayDispatcher without its relay", () => {
  it.live("is unavailable at once, and says nothing of the key", () =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(heard("alloy"))
      assert.equal(failure._tag, "BackendUnavailable")
      assert.ok(!JSON.stringify(failure).includes("sk-relay"))
    }).pipe(Effect.provide(dispatcherAt("http://127.0.0.1:1/v1"))))
})
