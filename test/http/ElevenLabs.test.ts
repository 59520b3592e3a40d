/** The service over an ElevenLabs relay: its voices in the library, its speech in any format, its refusals in our words. */
import { layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { Relay, relayKey } from "../layers/relays.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import { pcm } from "../programs/relay/Sound.ts"

const Service = Layer.unwrap(
  Effect.map(Relay, ({ url }) =>
    TestServer.layer({
      SCAISPEAK_RELAY_KIND: "elevenlabs",
      SCAISPEAK_RELAY_URL: `${url}/v1`,
      SCAISPEAK_RELAY_MODEL: "eleven_flash_v2_5",
      SCAISPEAK_RELAY_API_KEY: relayKey,
      SCAISPEAK_FIRST_AUDIO_TIMEOUT_MS: "400",
      SCAISPEAK_CHUNK_TIMEOUT_MS: "400"
    }))
).pipe(Layer.provideMerge(Relay.layer))

const speak = Effect.fnUntraced(function*(voice_id: string, body: Record<string, unknown> = {}) {
  const { key, url } = yield* TestServer
  const viewer = yield* key("acme", "vic", "tenant_admin")
  return yield* send("POST", `${url}/speak`, { text: "Anything.", voice_id, response_format: "pcm", ...body }, viewer)
})

layer(Service, { excludeTestServices: true })("an ElevenLabs relay", (it) => {
  it.effect("has its voices in the library, described", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const viewer = yield* key("acme", "vic", "tenant_viewer")
      const { json } = yield* until(
        get(`${url}/voices/vox_relay_21m00tcm4tlvdq8ikwam`, viewer),
        ({ status }) => status === 200
      )
      assert.equal(json.data.display_name, "Rachel")
      assert.equal(json.data.gender, "female")
      assert.deepEqual(json.data.language_supported, ["en", "de"])
      assert.deepEqual(json.data.style_tags, ["american", "young", "narration"])
      assert.equal(json.data.relay_speaker, "21m00Tcm4TlvDq8ikWAM")
    }))

  it.effect("speaks, and says what it ignores", () =>
    Effect.gen(function*() {
      const { bytes, headers, status } = yield* speak("vox_relay_alloy", { instructions: "softly", speed: 2 })
      assert.equal(status, 200)
      assert.deepEqual(bytes, pcm)
      assert.equal(headers.get("x-scaispeak-backend"), "B")
      assert.equal(headers.get("x-scaispeak-sample-rate"), "24000")
      assert.match([...headers].join(), /speed.*instructions/u)
      yield* idle
    }))

  it.effect.each(
    [
      ["poor", 502, "SCAISPEAK_BACKEND_UNAVAILABLE"],
      ["denied", 502, "SCAISPEAK_BACKEND_UNAVAILABLE"],
      ["stranger", 502, "SCAISPEAK_BACKEND_UNAVAILABLE"],
      ["dated", 503, "SCAISPEAK_BACKEND_SATURATED"],
      ["masked", 502, "SCAISPEAK_BACKEND_FAILED"],
      ["babble", 502, "SCAISPEAK_BACKEND_FAILED"],
      ["mute", 504, "SCAISPEAK_BACKEND_TIMEOUT"]
    ] as const
  )(
    "answers a relay that is %s with %i %s, and nothing of its own words",
    ([speaker, status, code]) =>
      Effect.gen(function*() {
        const reply = yield* speak(`vox_relay_${speaker}`)
        assert.equal(reply.status, status)
        assert.equal(reply.json.error.code, code)
        assert.ok(!new RegExp(`secret|${relayKey}`, "u").test(reply.bytes.toString()))
        yield* idle
      })
  )
})
