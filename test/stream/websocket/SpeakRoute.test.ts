/** `WS /stream/speak` as a client meets it: the way in, a session, the way out. */
import { layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { TenantId } from "../../../src/domain/Ids.ts"
import { StreamService } from "../../../src/stream/StreamService.ts"
import { Sockets } from "../../../src/stream/websocket/Sockets.ts"
import { spell } from "../../layers/ScriptedNode.ts"
import { TestServer, until } from "../../layers/TestServer.ts"
import { decodePackets } from "./opus.ts"
import { RawClient, refused } from "./RawClient.ts"
import { allFreed, bearer, connected, opened, openFrame, said } from "./Session.ts"

layer(TestServer.layer(), { excludeTestServices: true })("the way in", (it) => {
  it.effect("is open to a token in the header, in the subprotocol, or in the query", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const token = yield* key("acme", "ada", "tenant_admin")
      const ways = [
        [{ headers: { Authorization: `Bearer ${token}` } }, undefined],
        [{ query: `?token=${token}` }, undefined],
        [{ query: `?a=b&token=${token}`, headers: { "Sec-WebSocket-Protocol": "scaispeak.v1" } }, "scaispeak.v1"],
        [{ headers: { "Sec-WebSocket-Protocol": `scaispeak.bearer.${token}, scaispeak.v1` } }, "scaispeak.v1"],
        [
          { headers: { "Sec-WebSocket-Protocol": `scaispeak.bearer.${token}` } },
          `scaispeak.bearer.${token}`
        ],
        [{ headers: { Authorization: `Bearer ${token}`, "Sec-WebSocket-Protocol": "other" } }, undefined],
        // The header counts before the others.
        [{ headers: { Authorization: `Bearer ${token}` }, query: "?token=wrong" }, undefined]
      ] as const
      for (const [options, protocol] of ways) {
        const reply = yield* Effect.promise(() => refused(url, options))
        assert.equal(reply.status, 101)
        assert.equal(reply.headers["sec-websocket-protocol"], protocol)
        assert.equal(reply.headers["sec-websocket-extensions"], undefined)
      }
      const { headers } = yield* Effect.promise(() =>
        refused(url, {
          headers: { Authorization: `Bearer ${token}`, "Sec-WebSocket-Extensions": "permessage-deflate" }
        })
      )
      assert.equal(headers["sec-websocket-extensions"], undefined)
      yield* allFreed
    }))

  it.effect("refuses in plain HTTP, in the envelope", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const token = yield* key("acme", "ada", "tenant_admin")
      const viewer = yield* key("acme", "vic", "tenant_viewer")
      const good = { Authorization: `Bearer ${token}` }
      const cases = [
        [{}, 401, "AUTH_TOKEN_MISSING"],
        [{ headers: { Authorization: "Bearer sgk_wrong" } }, 401, "AUTH_TOKEN_INVALID"],
        [{ query: "?token=sgk_wrong" }, 401, "AUTH_TOKEN_INVALID"],
        [{ headers: { "Sec-WebSocket-Protocol": "scaispeak.bearer.sgk_wrong" } }, 401, "AUTH_TOKEN_INVALID"],
        [{ headers: { Authorization: "Basic YTpi" } }, 401, "AUTH_TOKEN_MISSING"],
        [{ query: `?token=${viewer}` }, 403, "AUTHZ_PERMISSION_DENIED"],
        [{ headers: { ...good, Upgrade: "", Connection: "" } }, 422, "VALIDATION_ERROR"],
        [{ headers: { ...good, Connection: "close" } }, 422, "VALIDATION_ERROR"],
        [{ headers: { ...good, Upgrade: "h2c" } }, 422, "VALIDATION_ERROR"],
        [{ headers: { ...good, "Sec-WebSocket-Key": "short" } }, 422, "VALIDATION_ERROR"],
        [{ headers: { ...good, "Sec-WebSocket-Version": "7" } }, 422, "VALIDATION_ERROR"],
        [{ headers: { ...good, "Sec-WebSocket-Protocol": "a,,b" } }, 422, "VALIDATION_ERROR"],
        [{ headers: { ...good, "Sec-WebSocket-Protocol": "a,a" } }, 422, "VALIDATION_ERROR"],
        [{ headers: { ...good, Upgrade: "", Connection: "" }, method: "POST" }, 405, "METHOD_NOT_ALLOWED"]
      ] as const
      for (const [options, status, code] of cases) {
        const reply = yield* Effect.promise(() =>
          refused(url, {
            ...options,
            headers: { ...("headers" in options ? options.headers : {}), "X-Request-Id": "mine" }
          })
        )
        assert.deepEqual([reply.status, reply.json?.error.code], [status, code], JSON.stringify(options))
        assert.equal(reply.json.meta.request_id, "mine")
        assert.equal(reply.headers["x-request-id"], "mine")
      }
      yield* allFreed
    }))

  it.effect("leaves one audit row a socket: who, what, on which voice, and whether it was allowed", () =>
    Effect.gen(function*() {
      const { context, key, url } = yield* TestServer
      const token = yield* key("audited", "ada", "tenant_admin")
      const viewer = yield* key("audited", "vic", "tenant_viewer")
      yield* Effect.promise(() =>
        refused(url, { headers: { Authorization: `Bearer ${viewer}`, "X-Request-Id": "one" } })
      )
      const client = yield* opened("spell", {}, { headers: { ...bearer(token), "X-Request-Id": "two" } })
      client.say({ type: "close" })
      yield* until(Effect.sync(() => client.closed), (closed) => closed)
      const stranger = yield* Effect.promise(() =>
        RawClient.connect(url, { headers: { ...bearer(token), "X-Request-Id": "three" } })
      )
      stranger.say({ type: "open", voice_id: "vox_absent" })
      yield* until(Effect.sync(() => stranger.closed), (closed) => closed)
      assert.equal(stranger.code, 4404)
      const sql = Context.get(context, SqlClient.SqlClient)
      const rows = yield* until(
        sql<Record<string, string>>`SELECT request_id, actor_user_id, action, resource_id, outcome FROM audit_log
          WHERE tenant_id = 'audited' ORDER BY created_at, audit_id`.pipe(Effect.orDie),
        (rows) => rows.length === 3
      )
      assert.deepEqual(rows.map((row) => Object.values(row)), [
        ["one", "vic", "stream.speak", null, "denied"],
        ["two", "ada", "stream.speak", "vox_scripted_spell", "allowed"],
        ["three", "ada", "stream.speak", "vox_absent", "failed"]
      ])
      yield* allFreed
    }))

  it.effect("is open to so many sockets of a tenant, and no more", () =>
    Effect.gen(function*() {
      const { context, key, url } = yield* TestServer
      const token = yield* key("crowd", "ada", "tenant_admin")
      const { place } = Context.get(context, Sockets)
      yield* Effect.scoped(Effect.gen(function*() {
        for (let i = 0; i < 4096; i++) yield* place(TenantId.make("crowd"))
        const { headers, json, status } = yield* Effect.promise(() => refused(url, { headers: bearer(token) }))
        assert.deepEqual([status, json.error.code, headers["retry-after"]], [429, "CONCURRENCY_LIMITED", "1"])
      }))
      assert.equal((yield* Effect.promise(() => refused(url, { headers: bearer(token) }))).status, 101)
      yield* allFreed
    }))
})

layer(TestServer.layer({ SCAISPEAK_TENANT_SESSIONS: "1" }), { excludeTestServices: true })("a session", (it) => {
  it.effect("holds one of its tenant's places", () =>
    Effect.gen(function*() {
      const one = yield* opened("spell")
      const two = yield* connected()
      two.say(openFrame("spell"))
      yield* until(Effect.sync(() => two.closed), (closed) => closed)
      assert.deepEqual([two.texts.at(-1).code, two.code], ["CONCURRENCY_LIMITED", 4429])
      assert.equal(two.texts.at(-1).retry_after, 1)
      one.say({ type: "close" })
      yield* allFreed
    }))

  it.effect("is interrupted, and speaks again", () =>
    Effect.gen(function*() {
      const client = yield* opened("spell")
      const [first, second] = ["The first sentence is short and simple. ", "Another."]
      client.say({ type: "text", delta: "The first sentence is sh" }, { type: "text", delta: "ort and simple. " })
      yield* until(Effect.sync(() => client.heard().length), (bytes) => bytes === spell(first).length)
      client.say({ type: "interrupt", played_ms: 0 }, { type: "text", delta: second }, { type: "flush", id: "a" })
      client.say({ type: "close" })
      yield* until(Effect.sync(() => client.closed), (closed) => closed)
      assert.deepEqual(client.texts.map(({ type }) => type), [
        "ready",
        "segment",
        "interrupted",
        "segment",
        "flush_done",
        "closed"
      ])
      assert.deepEqual(client.heard(), Buffer.concat([first, second].map(spell)))
      yield* allFreed
    }))

  it.effect("goes on behind the last frame that its client has, byte for byte, wherever the socket was torn", () =>
    Effect.gen(function*() {
      const text =
        "A rather long sentence that takes some seconds to be spoken. Another one like it, for good measure. "
      for (const tornAfter of [0, 1, 2, 5]) {
        const first = yield* opened("spell")
        const { resume_token: token, session_id } = first.texts[0]
        first.say({ type: "text", delta: text }, { type: "flush" })
        yield* until(Effect.sync(() => first.items.length), (count) => count >= tornAfter)
        first.tcp.resetAndDestroy()
        // What was behind it never arrived.
        const received = first.items.slice(0, tornAfter)
        const second = yield* opened("spell", { resume: { session_id, token, last_seq: tornAfter } })
        assert.deepEqual(second.texts[0], first.texts[0])
        second.say({ type: "close" })
        yield* until(Effect.sync(() => second.closed), (closed) => closed)
        const items = [...received, ...second.items]
        const segments = items.filter((item) => item.type === "segment")
        assert.equal(segments.map((segment) => segment.text).join(""), text)
        const audio = Buffer.concat(items.filter((item) => Buffer.isBuffer(item)))
        assert.deepEqual(audio, Buffer.concat(segments.map((segment) => spell(segment.text))))
        assert.equal(second.code, 1000)
        yield* allFreed
      }
    }))

  it.effect("gives the PCM of the engine, byte for byte, in frames of whole samples", () =>
    Effect.gen(function*() {
      const text = "The first sentence is this one. The second comes right behind it. And a third."
      const client = yield* opened("spell", { output: { codec: "pcm", sample_rate: 16000 } })
      for (const delta of text.match(/.{1,9}/gsu)!) client.say({ type: "text", delta })
      client.say({ type: "flush", id: "a" }, { type: "close" })
      yield* until(Effect.sync(() => client.closed), (closed) => closed)
      assert.deepEqual([client.code, client.reason], [1000, ""])
      const segments = client.of("segment")
      assert.equal(segments.map((segment) => segment.text).join(""), text)
      assert.deepEqual(client.heard(), Buffer.concat(segments.map((segment) => spell(segment.text))))
      assert.ok(client.audio.every(({ length }) => length > 0 && length % 2 === 0))
      assert.deepEqual(Object.keys(client.texts.at(-1).stats), [
        "chars",
        "backend_used",
        "audio_ms",
        "segments",
        "interrupted"
      ])
      yield* allFreed
    }))

  it.effect("speaks Opus by default to Node's own WebSocket, and A-law and mu-law where they are asked for", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const token = yield* key("acme", "ada", "tenant_admin")
      const talk = (output?: object) =>
        Effect.promise(() =>
          said(
            new WebSocket(`${url.replace("http", "ws")}/stream/speak`, [
              "scaispeak.v1",
              `scaispeak.bearer.${token}`
            ]),
            { voice_id: "vox_scripted_spell", ...(output === undefined ? {} : { output }) },
            "Hello there, you."
          )
        )
      const opus = yield* talk()
      assert.deepEqual([opus.protocol, opus.extensions, opus.code], ["scaispeak.v1", "", 1000])
      assert.deepEqual(opus.texts[0].output, { codec: "opus", sample_rate: 48000, frame_ms: 20, channels: 1 })
      const ms = spell("Hello there, you.").length / 32
      // 17 characters of 50 ms, 20 ms of silence, and the codec's delay.
      assert.equal(opus.audio.length, 44)
      assert.equal(opus.texts.find(({ type }) => type === "closed").stats.audio_ms, 880)
      assert.equal(decodePackets(opus.audio).length, 44 * 960)
      for (const codec of ["mulaw", "alaw"]) {
        const { audio, texts } = yield* talk({ codec })
        assert.equal(texts[0].output.sample_rate, 8000)
        const bytes = audio.reduce((sum, { length }) => sum + length, 0)
        assert.ok(Math.abs(bytes / 8 - ms) <= 20, `${codec} ${bytes}`)
      }
      yield* allFreed
    }))

  it.effect("ends with 1012 when the process goes away: at once if nothing was opened, else when it has spoken", () =>
    Effect.gen(function*() {
      const { context } = yield* TestServer
      const waiting = yield* connected()
      const speaking = yield* opened("spell")
      const text = "This is still said."
      speaking.say({ type: "text", delta: text })
      yield* until(Effect.sync(() => waiting.tcp.readyState), (state) => state === "open")
      yield* Effect.sleep(50)
      yield* Context.get(context, StreamService).drain
      yield* Context.get(context, Sockets).leave
      yield* until(Effect.sync(() => waiting.closed && speaking.closed), (closed) => closed)
      assert.deepEqual([waiting.code, waiting.texts.at(-1).code], [1012, "SCAISPEAK_SHUTTING_DOWN"])
      assert.deepEqual([speaking.code, speaking.reason], [1012, "SCAISPEAK_SHUTTING_DOWN"])
      assert.deepEqual(speaking.heard(), spell(text))
      assert.equal(speaking.texts.at(-1).code, "SCAISPEAK_SHUTTING_DOWN")
      const late = yield* connected()
      late.say(openFrame("spell"))
      yield* until(Effect.sync(() => late.closed), (closed) => closed)
      assert.deepEqual([late.texts.at(-1).code, late.code], ["SCAISPEAK_SHUTTING_DOWN", 1012])
      yield* allFreed
    }))
})
