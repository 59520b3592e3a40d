/** What holds for every kind of relay, against a relay in a process of its own that misbehaves on demand. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, it, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Logger, References, Scope, Stream, Tracer } from "effect"
import { HttpClient } from "effect/http"
import assert from "node:assert/strict"
import { inspect } from "node:util"
import { Breakers } from "../../src/services/Breakers.ts"
import { RelayDispatcher } from "../../src/services/RelayDispatcher.ts"
import {
  attempt,
  dispatcher,
  dispatcherAt,
  heard,
  kinds,
  openRequests,
  Relay,
  relayKey,
  relayState,
  relayText,
  request
} from "../layers/relays.ts"
import { pcm as spoken, samples } from "../programs/relay/Sound.ts"

/** Speakers that are heard whole, and at which rate. */
const heardWhole = [
  ["alloy", 24_000],
  ["unnamed", 24_000],
  ["odd", 16_000],
  ["slow", 24_000],
  ["wav", 24_000],
  ["wav-pieces", 22_050],
  ["wav-unnamed", 16_000],
  ["wav-endless", 24_000],
  ["wav-zero", 24_000],
  ["wav-stereo", 48_000],
  ["wav-24", 24_000],
  ["wav-32", 24_000]
] as const

/** Speakers that fail, and how. */
const failing = [
  ["half", "BackendFailed"],
  ["silent", "BackendFailed"],
  ["wav-silent", "BackendFailed"],
  ["wav-short", "BackendFailed"],
  ["wav-two", "BackendFailed"],
  ["wav-law", "BackendFailed"],
  ["wav-none", "BackendFailed"],
  ["mute", "BackendTimeout"],
  ["headers", "BackendTimeout"],
  ["wav-mute", "BackendTimeout"],
  ["stall", "BackendTimeout"],
  ["drop", "BackendFailed"],
  ["hangup", "BackendUnavailable"],
  ["polite", "BackendSaturated"],
  ["dated", "BackendSaturated"],
  ["forever", "BackendSaturated"],
  ["whisper", "BackendSaturated"],
  ["poor", "BackendUnavailable"],
  ["denied", "BackendUnavailable"],
  ["forbidden", "BackendUnavailable"],
  ["stranger", "BackendUnavailable"],
  ["strange", "BackendFailed"],
  ["late", "BackendTimeout"],
  ["broken", "BackendFailed"],
  ["parrot", "BackendFailed"],
  ["echo", "BackendFailed"],
  ["babble", "BackendFailed"],
  ["moved", "BackendFailed"],
  ["excuse", "BackendFailed"],
  ["page", "BackendFailed"],
  ["masked", "BackendFailed"],
  ["masked-page", "BackendFailed"],
  ["masked-short", "BackendFailed"],
  ["music", "BackendFailed"],
  ["music-endless", "BackendFailed"],
  ["music-masked", "BackendFailed"],
  ["zipped", "BackendFailed"]
] as const

/** Seconds that a full relay asks to wait. */
const retryAfters: Record<string, (seconds: number) => boolean> = {
  polite: (seconds) => seconds === 17,
  dated: (seconds) => seconds > 80 && seconds <= 90,
  forever: (seconds) => seconds === 3600,
  whisper: (seconds) => seconds === 3
}

/** Everything that is logged or traced while the effect runs, as an operator would see it. */
const recorded = <A, E, R>(self: Effect.Effect<A, E, R>) => {
  const seen: Array<unknown> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      seen.push(span.attributes, span.events, options.name)
      const end = span.end.bind(span)
      span.end = (at, exit) => {
        if (Exit.isFailure(exit)) seen.push(Cause.pretty(exit.cause))
        end(at, exit)
      }
      return span
    }
  })
  return self.pipe(
    Effect.withTracer(tracer),
    Effect.provideService(HttpClient.TracerHeaderFilter, () => true),
    Effect.provideService(References.MinimumLogLevel, "Trace"),
    Effect.provide(Logger.layer([Logger.make((entry) => void seen.push(Logger.formatJson.log(entry)))])),
    Effect.map((result) => ({ result, seen: inspect(seen, { depth: 20 }) }))
  )
}

for (const kind of kinds) {
  layer(dispatcher(kind), { excludeTestServices: true })(`RelayDispatcher of kind ${kind}`, (it) => {
    it.effect.each(heardWhole)("hears every sample of %s, at %i Hz", ([speaker, sampleRate]) =>
      Effect.gen(function*() {
        const { chunks, dispatched, pcm } = yield* heard(speaker)
        assert.equal(dispatched.sampleRate, sampleRate)
        assert.equal(dispatched.engine, kind)
        assert.ok(chunks.every(({ pcm }) => pcm.length > 0 && pcm.length % 2 === 0))
        assert.deepEqual(new Int16Array(new Uint8Array(pcm).buffer), samples)
      }))

    it.effect("hears audio that comes a byte at a time, or begins like a text", () =>
      Effect.gen(function*() {
        assert.deepEqual((yield* heard("single")).pcm, spoken.subarray(0, 600))
        assert.equal((yield* heard("brace")).pcm.length, spoken.length + 2)
      }))

    it.effect("passes audio on while it arrives", () =>
      Effect.gen(function*() {
        const dispatched = yield* (yield* RelayDispatcher).dispatch(request("slow"), attempt())
        const first = yield* Stream.runHead(dispatched.audio)
        assert.ok(first._tag === "Some" && first.value.pcm.length < spoken.length)
        assert.equal((yield* relayState).open, 1, "the relay is still speaking")
      }).pipe(Effect.scoped, Effect.andThen(openRequests(0))))

    it.effect("cuts warm-up from the head, and does not report it as ignored", () =>
      Effect.gen(function*() {
        const { dispatched, pcm } = yield* heard("odd", { warmupTrimMs: 250 })
        assert.deepEqual(pcm, spoken.subarray(8000))
        assert.deepEqual(dispatched.ignoredParams, [])
      }))

    it.effect.each(failing)(
      "maps a relay that is %s to %s, in words of ours",
      ([speaker, tag]) =>
        Effect.gen(function*() {
          const { result: failure, seen } = yield* recorded(Effect.flip(heard(speaker)))
          assert.equal(failure._tag, tag, inspect(failure))
          if (failure._tag === "BackendSaturated") assert.ok(retryAfters[speaker]!(failure.retryAfter))
          const words = `${inspect(failure, { depth: 20 })} ${JSON.stringify(failure)} ${seen}`
          for (const unsaid of [relayKey, relayText, "secret"]) assert.ok(!words.includes(unsaid), words)
          yield* openRequests(0)
          assert.equal((yield* RelayDispatcher).active(), 0)
        })
    )

    it.effect("follows no redirect", () =>
      Effect.gen(function*() {
        yield* Effect.flip(heard("moved"))
        assert.equal((yield* relayState).elsewhere, 0)
      }))

    it.effect("says why the relay refuses, and names the code to the log alone", () =>
      Effect.gen(function*() {
        const reason = (speaker: string) =>
          Effect.map(Effect.flip(heard(speaker)), (failure) => {
            if (failure._tag === "BackendUnavailable") return failure.reasons.join()
            return failure._tag === "BackendFailed" ? String(failure.cause) : failure._tag
          })
        assert.equal(yield* reason("denied"), "B cannot serve the call: the relay refuses our key.")
        assert.equal(yield* reason("poor"), "B cannot serve the call: the relay's quota is used up.")
        assert.equal(
          yield* reason("stranger"),
          "B cannot serve the call: the relay does not know the voice's speaker."
        )
        assert.equal(yield* reason("broken"), "Error: The relay answered 500 (server_error).")
        assert.equal(yield* reason("parrot"), "Error: The relay answered 500.")
      }))

    it.effect("hides its key in the spans of a call that works", () =>
      Effect.gen(function*() {
        const { seen } = yield* recorded(heard("alloy"))
        assert.ok(seen.includes("<redacted>"), "the header is there")
        for (const unsaid of [relayKey, relayText]) assert.ok(!seen.includes(unsaid), seen)
      }))

    it.effect.each(["mute", "headers", "stall", "endless"])(
      "aborts the request of a relay that goes %s when the scope closes",
      (speaker) =>
        Effect.gen(function*() {
          const relay = yield* RelayDispatcher
          const scope = yield* Scope.make()
          const running = yield* relay.dispatch(request(speaker), attempt()).pipe(
            Effect.flatMap(({ audio }) => Stream.runDrain(audio)),
            Scope.provide(scope),
            Effect.forkChild
          )
          yield* openRequests(1)
          assert.equal(relay.active(), 1)
          yield* Fiber.interrupt(running)
          yield* Scope.close(scope, Exit.void)
          yield* openRequests(0)
          assert.equal(relay.active(), 0)
        })
    )

    it.effect("aborts a call whose audio nobody has asked for", () =>
      Effect.gen(function*() {
        yield* Effect.scoped(Effect.asVoid((yield* RelayDispatcher).dispatch(request("endless"), attempt())))
        yield* openRequests(0)
      }))

    it.effect("reads no further than is heard", () =>
      Effect.gen(function*() {
        const before = process.memoryUsage.rss()
        const { sent: already } = yield* relayState
        const dispatched = yield* (yield* RelayDispatcher).dispatch(request("endless"), attempt())
        const pull = yield* Stream.toPull(dispatched.audio)
        yield* pull
        yield* Effect.sleep("1 second")
        const { sent } = yield* relayState
        yield* Effect.sleep("1 second")
        assert.equal((yield* relayState).sent, sent, "the relay waits")
        // What the kernel keeps for both ends of a socket, by its own limits.
        assert.ok(sent - already < 16 * 2 ** 20, `${sent - already} bytes`)
        assert.ok(process.memoryUsage.rss() - before < 64 * 2 ** 20)
        // The pause was the listener's, longer than the relay may be silent.
        yield* pull
      }).pipe(Effect.scoped, Effect.andThen(openRequests(0))))

    it.effect("asks nothing for a voice that nobody speaks there", () =>
      Effect.gen(function*() {
        const before = (yield* relayState).calls.length
        const relay = yield* RelayDispatcher
        assert.equal(relay.availability(request(null).voice).available, false)
        const failure = yield* Effect.scoped(Effect.flip(relay.dispatch(request(null), attempt())))
        assert.equal(failure._tag, "BackendUnavailable")
        assert.equal((yield* relayState).calls.length, before)
      }))
  })

  const probed = (path: string) =>
    Effect.gen(function*() {
      const { url } = yield* Relay
      return yield* RelayDispatcher.use((relay) => relay.probe).pipe(
        Effect.provide(dispatcherAt(url + path, kind)),
        Effect.match({ onFailure: ({ _tag }) => _tag, onSuccess: () => "alive" })
      )
    })

  layer(Relay.layer, { excludeTestServices: true })(`the probe of kind ${kind}`, (it) => {
    it.effect.each([
      ["/v1", "alive"],
      ["/bare/v1", "alive"],
      ["/narrow/v1", "alive"],
      ["/away/v1", "BackendFailed"],
      ["/denied/v1", "BackendUnavailable"],
      ["/full/v1", "BackendSaturated"],
      ["/hung/v1", "BackendTimeout"]
    ])("finds %s %s, and asks for no speech", ([path, found]) =>
      Effect.gen(function*() {
        assert.equal(yield* probed(path!), found)
        assert.equal((yield* relayState).calls.length, 0)
      }))
  })

  describe(`RelayDispatcher of kind ${kind} without its relay`, () => {
    it.live("is unavailable at once, and says nothing of the key", () =>
      Effect.gen(function*() {
        const { probe, speakers } = yield* RelayDispatcher
        const outcomes = [yield* Effect.flip(heard("alloy")), yield* Effect.flip(probe), yield* Effect.flip(speakers)]
        for (const failure of outcomes) {
          assert.equal(failure._tag, "BackendUnavailable")
          assert.ok(!inspect(failure, { depth: 20 }).includes(relayKey))
        }
      }).pipe(Effect.provide(dispatcherAt("http://127.0.0.1:1/v1", kind))))
  })
}

/** With a breaker that opens soon. */
const guarded = Layer.unwrap(Effect.map(Relay, ({ url }) => {
  const options = { kind: "openai" as const, url: `${url}/v1`, apiKey: undefined, model: "tts-1", voices: [] }
  return RelayDispatcher.layer({ ...options, chunkTimeoutMs: 800 })
})).pipe(
  Layer.provide(NodeHttpClient.layerUndici),
  Layer.provideMerge(Breakers.layerMemory({ failures: 3, openMs: 300 })),
  Layer.provideMerge(Relay.layer)
)

layer(guarded, { excludeTestServices: true })("RelayDispatcher with a circuit", (it) => {
  const availability = Effect.map(RelayDispatcher, (relay) => relay.availability(request("alloy").voice))
  const until = (available: boolean) =>
    Effect.repeat(Effect.delay(availability, 5), { until: (state) => state.available === available }).pipe(
      Effect.timeout("8 seconds")
    )

  it.effect("gets no calls after failing again and again, until its list can be read", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 3; i++) yield* Effect.flip(heard("broken"))
      yield* until(false)
      assert.deepEqual(yield* availability, { available: false, reason: "the relay is recovering from failures" })
      yield* until(true)
      yield* heard("alloy")
    }))

  it.effect("is not blamed for a speaker that it does not have, or for being busy", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 5; i++) {
        yield* Effect.flip(heard("stranger"))
        yield* Effect.flip(heard("polite"))
      }
      yield* Effect.sleep("100 millis")
      assert.equal((yield* availability).available, true)
    }))
})

layer(RelayDispatcher.layerOff)("RelayDispatcher that is off", (it) => {
  it.effect("can do nothing, and says so", () =>
    Effect.gen(function*() {
      const { availability, dispatch, probe, speakers } = yield* RelayDispatcher
      assert.deepEqual(availability(request("alloy").voice), {
        available: false,
        reason: "no relay is configured"
      })
      assert.equal((yield* Effect.flip(probe))._tag, "BackendUnavailable")
      assert.equal(
        (yield* Effect.scoped(Effect.flip(dispatch(request("alloy"), attempt()))))._tag,
        "BackendUnavailable"
      )
      assert.deepEqual(yield* speakers, [])
    }))
})
