/** Two backends behind one call: a scripted node over gRPC, and a relay in a process of its own that records every call. */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { VoiceId } from "../../src/domain/Ids.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import * as Program from "../programs/Program.ts"

/** `v1` below it is the relay's API. */
class Relay extends Context.Service<Relay, string>()("test/Relay") {
  static readonly layer = Layer.effect(
    Relay,
    Effect.map(Program.start("relay.ts"), ({ firstLine }) => `http://127.0.0.1:${firstLine}`)
  )
}

const Service = Layer.unwrap(
  Effect.map(Relay, (relay) =>
    TestServer.layer({
      SCAISPEAK_RELAY_KIND: "openai",
      SCAISPEAK_RELAY_URL: `${relay}/v1`,
      SCAISPEAK_RELAY_MODEL: "tts-1",
      SCAISPEAK_RELAY_API_KEY: "sk-relay",
      SCAISPEAK_FIRST_AUDIO_TIMEOUT_MS: "400",
      SCAISPEAK_CHUNK_TIMEOUT_MS: "400",
      SCAISPEAK_BREAKER_FAILURES: "1000"
    }))
).pipe(Layer.provideMerge(Relay.layer))

const relayCalls = Effect.flatMap(
  Relay,
  (relay) => Effect.map(get(`${relay}/calls`), ({ bytes }) => JSON.parse(bytes.toString()).calls as Array<unknown>)
)

/** A voice of the same speaker on both backends: a script of the node, a speaker of the relay. */
const voiceOnBoth = Effect.fnUntraced(function*(script: string, speaker: string) {
  const { context } = yield* TestServer
  const voiceId = VoiceId.make(`vox_both_${script}_${speaker}`)
  yield* Context.get(context, VoiceRepo).syncPresets([{
    voiceId,
    displayName: voiceId,
    description: "",
    gender: "neutral",
    languages: ["en"],
    styleTags: [],
    preset: { engine: "scripted", name: script },
    relaySpeaker: speaker
  }])
  return voiceId
})

/** Speaks for a tenant of that policy. */
const speak = Effect.fnUntraced(function*(
  allowed: ReadonlyArray<"A" | "B">,
  voice_id: string,
  body: Record<string, unknown> = {}
) {
  const { key, url } = yield* TestServer
  const admin = yield* key(`tenant-${allowed.join("")}`, "root", "tenant_admin")
  yield* send("PUT", `${url}/admin/policy`, { allowed_backends: allowed, default_backend: allowed[0] }, admin)
  return yield* send("POST", `${url}/speak`, { text: "Anything.", voice_id, response_format: "pcm", ...body }, admin)
})

layer(Service, { excludeTestServices: true })("two backends", (it) => {
  it.effect("lists the relay's speakers as global voices", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const viewer = yield* key("acme", "vic", "tenant_viewer")
      const { json } = yield* until(get(`${url}/voices/vox_relay_alloy`, viewer), ({ status }) => status === 200)
      assert.equal(json.data.relay_speaker, "alloy")
      assert.deepEqual(json.data.backends, { A: false, B: true })
    }))

  it.effect.each(
    [
      [["A", "B"], "any", "A"],
      [["B", "A"], "any", "B"],
      [["A", "B"], "prefer_relay", "B"],
      [["B", "A"], "prefer_self_hosted", "A"],
      [["A"], "prefer_relay", "A"],
      [["B"], "prefer_self_hosted", "B"]
    ] as const
  )(
    "asks, for a tenant of %s whose caller says %s, backend %s",
    ([allowed, backend_preference, backend]) =>
      Effect.gen(function*() {
        const voice = yield* voiceOnBoth("say", "alloy")
        const { headers, status } = yield* speak(allowed, voice, { backend_preference })
        assert.equal(status, 200)
        assert.equal(headers.get("x-scaispeak-backend"), backend)
        assert.equal(headers.get("x-scaispeak-sample-rate"), backend === "A" ? "16000" : "24000")
        yield* idle
      })
  )

  it.effect.each(["gone", "crash", "full", "silent", "mute"])(
    "lets B speak when A is %s before the first sound",
    (script) =>
      Effect.gen(function*() {
        const { bytes, headers, status } = yield* speak(["A", "B"], yield* voiceOnBoth(script, "alloy"))
        assert.equal(status, 200)
        assert.equal(headers.get("x-scaispeak-backend"), "B")
        assert.equal(bytes.length, 24_000, "B's audio, whole and alone")
        yield* idle
      })
  )

  it.effect("lets A speak when B, which is preferred, is broken", () =>
    Effect.gen(function*() {
      const { headers } = yield* speak(["B", "A"], yield* voiceOnBoth("say", "broken"))
      assert.equal(headers.get("x-scaispeak-backend"), "A")
      yield* idle
    }))

  it.effect("asks nobody else for what the engine refuses", () =>
    Effect.gen(function*() {
      const before = (yield* relayCalls).length
      const { status } = yield* speak(["A", "B"], yield* voiceOnBoth("refuse", "alloy"))
      assert.equal(status, 422)
      assert.equal((yield* relayCalls).length, before)
      yield* idle
    }))

  it.effect("asks nobody else once something has been heard", () =>
    Effect.gen(function*() {
      const before = (yield* relayCalls).length
      const voice = yield* voiceOnBoth("break", "alloy")
      const broken = yield* speak(["A", "B"], voice).pipe(Effect.exit)
      assert.equal(broken._tag, "Failure", "the connection broke")
      assert.equal((yield* relayCalls).length, before)
      yield* idle
    }))

  it.effect("never lets a tenant that is locked to A reach B, whatever fails", () =>
    Effect.gen(function*() {
      const before = (yield* relayCalls).length
      for (const script of ["gone", "crash", "full", "silent", "mute"]) {
        const { status } = yield* speak(["A"], yield* voiceOnBoth(script, "alloy"))
        assert.ok(status >= 500)
      }
      const { json } = yield* speak(["A"], "vox_relay_alloy")
      assert.equal(json.error.code, "SCAISPEAK_BACKEND_UNAVAILABLE")
      assert.equal((yield* relayCalls).length, before)
      yield* idle
    }))

  it.effect.each(
    [
      ["mute", 504, "SCAISPEAK_BACKEND_TIMEOUT"],
      ["polite", 503, "SCAISPEAK_BACKEND_SATURATED"],
      ["broken", 502, "SCAISPEAK_BACKEND_FAILED"],
      ["excuse", 502, "SCAISPEAK_BACKEND_FAILED"],
      ["silent", 502, "SCAISPEAK_BACKEND_FAILED"]
    ] as const
  )(
    "answers a relay that is %s with %i %s, and nothing of its own words",
    ([speaker, status, code]) =>
      Effect.gen(function*() {
        const reply = yield* speak(["B"], `vox_relay_${speaker}`)
        assert.equal(reply.status, status)
        assert.equal(reply.json.error.code, code)
        assert.ok(!/secret|sk-relay/u.test(reply.bytes.toString()))
        yield* idle
      })
  )
})
