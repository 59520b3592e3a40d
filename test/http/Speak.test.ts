/** `POST /speak` over real HTTP and real gRPC: what a caller hears, in every form that it can be asked for. */
import { layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import * as ScriptedNode from "../layers/ScriptedNode.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"

const speak = Effect.fnUntraced(function*(body: Record<string, unknown>, headers: Record<string, string> = {}) {
  const server = yield* TestServer
  const key = yield* server.key("acme", "ada", "tenant_admin")
  return yield* send(
    "POST",
    `${server.url}/speak`,
    { text: "Anything.", voice_id: "vox_scripted_say", ...body },
    key,
    headers
  )
})

for (const [name, env] of stores) {
  layer(TestServer.layer(env), { excludeTestServices: true })(`POST /speak on ${name}`, (it) => {
    it.effect("sends the engine's very samples as PCM, and says what it did", () =>
      Effect.gen(function*() {
        const { bytes, headers, status } = yield* speak({ response_format: "pcm", text: "Ein 😀." })
        assert.equal(status, 200)
        assert.ok(bytes.equals(ScriptedNode.spoken))
        assert.equal(
          headers.get("content-type"),
          "audio/pcm; rate=16000; encoding=signed-int; bits=16; channels=1; endian=little"
        )
        assert.match(headers.get("x-scaispeak-synthesis-id")!, /^syn_[0-9a-z]{26}$/u)
        assert.equal(headers.get("x-scaispeak-backend"), "A")
        assert.equal(headers.get("x-scaispeak-characters"), "6")
        assert.equal(headers.get("x-scaispeak-voice-id"), "vox_scripted_say")
        assert.equal(headers.get("x-scaispeak-sample-rate"), "16000")
        assert.match(headers.get("x-request-id")!, /^req_/u)
        yield* idle
      }))

    it.effect.each(
      [
        ["mp3", "audio/mpeg", 24000, (b: Buffer) => b[0] === 0xff && (b[1]! & 0xe0) === 0xe0],
        ["opus", "audio/ogg; codecs=opus", 48000, (b: Buffer) => b.toString("latin1", 0, 4) === "OggS"],
        [
          "wav",
          "audio/wav",
          16000,
          (b: Buffer) => b.toString("latin1", 0, 4) === "RIFF" && b.subarray(44).equals(ScriptedNode.spoken)
        ],
        ["flac", "audio/flac", 16000, (b: Buffer) => b.toString("latin1", 0, 4) === "fLaC"],
        ["mulaw", "audio/basic; rate=8000", 8000, (b: Buffer) => b.length === ScriptedNode.spoken.length / 4],
        ["alaw", "audio/x-alaw-basic; rate=8000", 8000, (b: Buffer) => b.length === ScriptedNode.spoken.length / 4]
      ] as const
    )("speaks %s", ([response_format, contentType, rate, fits]) =>
      Effect.gen(function*() {
        const { bytes, headers, status } = yield* speak({ response_format })
        assert.equal(status, 200)
        assert.equal(headers.get("content-type"), contentType)
        assert.equal(headers.get("x-scaispeak-sample-rate"), String(rate))
        assert.ok(fits(bytes))
        yield* idle
      }))

    it.effect("hands every parameter to the engine, and tells which it ignored", () =>
      Effect.gen(function*() {
        const { node } = yield* TestServer
        const { headers } = yield* speak({
          speed: 1.5,
          cfg_value: 2,
          seed: 7,
          warmup_trim_ms: 40,
          instructions: "softly"
        })
        assert.deepEqual(node.requests.at(-1)!.params, {
          speed: 1.5,
          cfgValue: 2,
          seed: 7,
          warmupTrimMs: 40,
          instructions: "softly"
        })
        assert.equal(headers.get("x-scaispeak-ignored-params"), "seed")
      }))

    it.effect("answers in JSON when asked to, with a file of true lengths", () =>
      Effect.gen(function*() {
        const { json } = yield* speak({ response_format: "wav" }, { accept: "application/json" })
        const file = Buffer.from(json.data.audio_base64, "base64")
        assert.equal(file.readUInt32LE(4), file.length - 8, "RIFF size")
        assert.equal(file.readUInt32LE(40), ScriptedNode.spoken.length, "data size")
        delete json.data.audio_base64
        assert.match(json.data.synthesis_id, /^syn_/u)
        delete json.data.synthesis_id
        assert.deepEqual(json.data, {
          backend_used: "A",
          characters: 9,
          audio_duration_ms: 1500,
          response_format: "wav",
          sample_rate: 16000,
          ignored_params: []
        })
      }))

    it.effect("gives the engine's word times as native, and estimated ones where it has none", () =>
      Effect.gen(function*() {
        const native = yield* speak({ voice_id: "vox_scripted_words", timestamps: "word" })
        assert.deepEqual(native.json.data.words, [{ text: "ramp", start_ms: 0, end_ms: 1500, source: "native" }])
        const estimated = yield* speak({ text: "one three", timestamps: "word" })
        assert.deepEqual(estimated.json.data.words, [
          { text: "one", start_ms: 0, end_ms: 563, source: "estimated" },
          { text: "three", start_ms: 563, end_ms: 1500, source: "estimated" }
        ])
      }))

    it.effect.each(
      [
        ["gone", 502, "SCAISPEAK_BACKEND_UNAVAILABLE", undefined],
        ["crash", 502, "SCAISPEAK_BACKEND_FAILED", undefined],
        ["silent", 502, "SCAISPEAK_BACKEND_FAILED", undefined],
        ["full", 503, "SCAISPEAK_BACKEND_SATURATED", 4]
      ] as const
    )("answers a backend that is %s with %i %s", ([script, status, code, retryAfter]) =>
      Effect.gen(function*() {
        const reply = yield* speak({ voice_id: `vox_scripted_${script}` })
        assert.equal(reply.status, status)
        assert.equal(reply.json.error.code, code)
        assert.equal(reply.json.error.retry_after, retryAfter)
        assert.equal(reply.headers.get("retry-after"), retryAfter === undefined ? null : String(retryAfter))
        yield* idle
      }))

    it.effect.each(["break", "cut"])(
      "breaks the connection when the backend stops by %s after the first byte",
      (script) =>
        Effect.gen(function*() {
          const { key, url } = yield* TestServer
          const token = yield* key("acme", "ada", "tenant_admin")
          const outcome = yield* Effect.promise(async () => {
            const response = await fetch(`${url}/speak`, {
              method: "POST",
              headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
              body: JSON.stringify({ text: "Anything.", voice_id: `vox_scripted_${script}`, response_format: "pcm" })
            })
            return [response.status, await response.arrayBuffer().then(() => "whole", () => "broken")]
          })
          assert.deepEqual(outcome, [200, "broken"])
          yield* idle
        })
    )

    it.effect("gives the first reply again for the same idempotency key, and refuses it for another body", () =>
      Effect.gen(function*() {
        const { node } = yield* TestServer
        const once = { "idempotency-key": "order-1" }
        const first = yield* speak({ response_format: "wav" }, once)
        const dispatched = node.requests.length
        const again = yield* speak({ response_format: "wav" }, once)
        assert.equal(first.headers.get("idempotent-replayed"), null)
        assert.equal(again.headers.get("idempotent-replayed"), "true")
        assert.ok(again.bytes.equals(first.bytes))
        for (const name of ["content-type", "x-scaispeak-synthesis-id", "x-scaispeak-sample-rate"]) {
          assert.equal(again.headers.get(name), first.headers.get(name))
        }
        assert.equal(node.requests.length, dispatched, "nothing was spoken twice")
        const other = yield* speak({ response_format: "wav", text: "Something else." }, once)
        assert.equal(other.status, 409)
        assert.equal(other.json.error.code, "SCAISPEAK_IDEMPOTENCY_CONFLICT")
        const json = yield* speak({ response_format: "wav" }, {
          "idempotency-key": "order-2",
          accept: "application/json"
        })
        const jsonAgain = yield* speak({ response_format: "wav" }, {
          "idempotency-key": "order-2",
          accept: "application/json"
        })
        assert.deepEqual(jsonAgain.json.data, json.json.data)
      }))

    it.effect("lets a failed call be tried again under its idempotency key", () =>
      Effect.gen(function*() {
        const once = { "idempotency-key": "order-3" }
        const failed = yield* speak({ voice_id: "vox_scripted_crash" }, once)
        assert.equal(failed.status, 502)
        const again = yield* speak({ voice_id: "vox_scripted_crash" }, once)
        assert.equal(again.json.error.code, "SCAISPEAK_BACKEND_FAILED", "tried anew, not refused")
      }))

    it.effect("settles every call in one usage row, and notes it in one audit row", () =>
      Effect.gen(function*() {
        const { context, key, root, url } = yield* TestServer
        const sql = Context.get(context, SqlClient.SqlClient)
        const token = yield* key("ledger", "ada", "tenant_admin")
        const speak = (script: string, requestId: string) =>
          send(
            "POST",
            `${url}/speak`,
            { text: "Four", voice_id: `vox_scripted_${script}`, response_format: "pcm", tags: ["a", "b"] },
            token,
            { "x-request-id": requestId }
          )
        const spoken = yield* speak("say", "r-completed")
        yield* speak("crash", "r-failed")
        yield* Effect.exit(speak("break", "r-broken"))
        yield* speak("none", "r-refused")
        yield* get(`${url}/voices`, yield* key("ledger", "eve", "tenant_user"), { "x-request-id": "r-denied" })
        yield* idle

        const usage = yield* until(
          sql<
            Record<string, unknown>
          >`SELECT request_id, synthesis_id, voice_id, backend, characters, audio_ms, outcome, error_code
            FROM usage_records WHERE tenant_id = ${"ledger"} ORDER BY synthesis_id`,
          (rows) => rows.length >= 3
        )
        assert.deepEqual(
          usage.map((row) => [row.request_id, row.outcome, row.error_code, row.backend, row.characters, row.audio_ms]),
          [
            ["r-completed", "completed", null, "A", 4, 1500],
            ["r-failed", "failed", "SCAISPEAK_BACKEND_FAILED", "A", 4, 0],
            ["r-broken", "failed", "SCAISPEAK_BACKEND_FAILED", "A", 4, 150]
          ]
        )
        assert.equal(usage[0]!.synthesis_id, spoken.headers.get("x-scaispeak-synthesis-id"))

        const audit = yield* until(
          sql<Record<string, unknown>>`SELECT request_id, actor_user_id, action, resource_id, outcome
            FROM audit_log WHERE tenant_id = ${"ledger"} ORDER BY request_id`,
          (rows) => rows.length >= 5
        )
        assert.deepEqual(audit.map((row) => Object.values(row)), [
          ["r-broken", "ada", "speech.speak", "vox_scripted_break", "allowed"],
          ["r-completed", "ada", "speech.speak", "vox_scripted_say", "allowed"],
          ["r-denied", "eve", "voices.list", null, "denied"],
          ["r-failed", "ada", "speech.speak", "vox_scripted_crash", "failed"],
          ["r-refused", "ada", "speech.speak", "vox_scripted_none", "failed"]
        ])
        assert.match(
          (yield* get(`${root}/metrics`)).bytes.toString(),
          /scaispeak_characters_total\{[^}]*outcome="completed"[^}]*\} \d+/u
        )
      }))
  })
}
