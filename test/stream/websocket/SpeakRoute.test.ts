/** `WS /stream/speak` over a real socket, against the whole service and a scripted engine. */
import { layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import assert from "node:assert/strict"
import { request } from "node:http"
import { StreamService } from "../../../src/stream/StreamService.ts"
import { spell } from "../../layers/ScriptedNode.ts"
import { idle, TestServer, until } from "../../layers/TestServer.ts"

const connect = (url: string, protocols: ReadonlyArray<string> = []) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = new WebSocket(url.replace(/^http/u, "ws"), [...protocols])
      socket.binaryType = "arraybuffer"
      const frames: Array<any> = []
      const sent: Array<any> = []
      const audio: Array<Buffer> = []
      const closed: Array<[number, string]> = []
      let opened = false
      socket.addEventListener("open", () => (opened = true))
      socket.addEventListener("message", ({ data }) => {
        sent.push(data)
        if (typeof data === "string") frames.push(JSON.parse(data))
        else audio.push(Buffer.from(data as ArrayBuffer))
      })
      socket.addEventListener("close", ({ code, reason }) => closed.push([code, reason]))
      return {
        socket,
        frames,
        sent,
        closed,
        opened: () => opened,
        audio: () => Buffer.concat(audio),
        packets: audio,
        say: (...messages: ReadonlyArray<object>) => messages.forEach((message) => socket.send(JSON.stringify(message)))
      }
    }),
    ({ socket }) => Effect.sync(() => socket.close())
  )

/** Status and code of a request to upgrade that is answered in HTTP. */
const refused = (url: string, key: string) =>
  Effect.callback<[number | undefined, string]>((resume) => {
    request(url, {
      headers: {
        authorization: `Bearer ${key}`,
        connection: "upgrade",
        upgrade: "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": Buffer.alloc(16).toString("base64")
      }
    }, (response) => {
      let body = ""
      response.on("data", (chunk) => (body += chunk))
      response.on("end", () => resume(Effect.succeed([response.statusCode, JSON.parse(body).error.code])))
    }).end()
  })

const open = { type: "open", voice_id: "vox_scripted_spell", output: { codec: "pcm", sample_rate: 16000 } }

layer(TestServer.layer(), { excludeTestServices: true })("WS /stream/speak", (it) => {
  const url = Effect.gen(function*() {
    const server = yield* TestServer
    const key = yield* server.key("acme", "ada", "tenant_admin")
    return { key, path: `${server.url}/stream/speak`, url: `${server.url}/stream/speak?token=${key}` }
  })
  const none = Effect.gen(function*() {
    const { context } = yield* TestServer
    yield* until(Effect.sync(Context.get(context, StreamService).sessions), (sessions) => sessions === 0)
    yield* idle
  })

  it.effect("speaks, is interrupted, speaks again, and closes", () =>
    Effect.gen(function*() {
      const { key, path } = yield* url
      const client = yield* connect(path, ["scaispeak.v1", `scaispeak.bearer.${key}`])
      yield* until(Effect.sync(client.opened), (opened) => opened)
      assert.equal(client.socket.protocol, "scaispeak.v1")
      client.say(open, { type: "text", delta: "The first sentence is sh" }, { type: "text", delta: "ort and simple. " })
      yield* until(Effect.sync(() => client.audio().length), (bytes) =>
        bytes === spell("The first sentence is short and simple. ").length)
      client.say({ type: "interrupt", played_ms: 0 }, { type: "text", delta: "Another." }, { type: "flush", id: "a" })
      client.say({ type: "close" })
      yield* until(
        Effect.sync(() =>
          client.closed.length
        ),
        (count) => count === 1
      )
      assert.deepEqual(client.closed, [[1000, ""]])
      assert.deepEqual(client.frames.map(({ type }) => type), [
        "ready",
        "segment",
        "interrupted",
        "segment",
        "flush_done",
        "closed"
      ])
      assert.deepEqual(
        client.audio(),
        Buffer.concat(["The first sentence is short and simple. ", "Another."].map(spell))
      )
      yield* none
    }))

  it.effect("sends Opus by default, one packet a frame", () =>
    Effect.gen(function*() {
      const client = yield* connect((yield* url).url)
      yield* until(Effect.sync(client.opened), (opened) => opened)
      client.say({ type: "open", voice_id: "vox_scripted_spell" }, { type: "text", delta: "One second to say it" })
      client.say({ type: "flush" }, { type: "close" })
      yield* until(Effect.sync(() => client.closed.length), (count) => count === 1)
      assert.deepEqual(client.frames[0].output, { codec: "opus", sample_rate: 48000, frame_ms: 20, channels: 1 })
      // 20 characters of 50 ms, 20 ms of silence, and the codec's delay.
      assert.equal(client.packets.length, 52)
      assert.equal(client.frames.find(({ type }) => type === "flush_done").audio_ms, 1040)
      yield* none
    }))

  it.effect("goes on where a lost socket was", () =>
    Effect.gen(function*() {
      const { url: address } = yield* url
      const text = "A rather long sentence that takes some seconds to be spoken. "
      const client = yield* connect(address)
      yield* until(Effect.sync(client.opened), (opened) => opened)
      client.say(open, { type: "text", delta: text })
      yield* until(Effect.sync(() => client.packets.length), (packets) => packets > 3)
      client.socket.close(4999)
      yield* until(Effect.sync(() => client.closed.length), (count) => count === 1)
      const { resume_token: token, session_id } = client.frames[0]
      const again = yield* connect(address)
      yield* until(Effect.sync(again.opened), (opened) => opened)
      again.say({ ...open, resume: { session_id, token, last_seq: client.sent.length - 1 } }, { type: "close" })
      yield* until(Effect.sync(() => again.closed.length), (count) => count === 1)
      assert.deepEqual(Buffer.concat([client.audio(), again.audio()]), spell(text))
      yield* none
    }))

  it.effect("refuses in plain HTTP who may not, and in frames what may not be", () =>
    Effect.gen(function*() {
      const { path, url: address } = yield* url
      const server = yield* TestServer
      assert.deepEqual(yield* refused(path, "sgk_wrong"), [401, "AUTH_TOKEN_INVALID"])
      const viewer = yield* server.key("acme", "vic", "tenant_viewer")
      assert.deepEqual(yield* refused(path, viewer), [403, "AUTHZ_PERMISSION_DENIED"])
      const client = yield* connect(address)
      yield* until(Effect.sync(client.opened), (opened) => opened)
      client.say({ ...open, voice_id: "vox_nobody" })
      yield* until(Effect.sync(() => client.closed.length), (count) => count === 1)
      assert.deepEqual(client.closed, [[4404, "SCAISPEAK_VOICE_NOT_FOUND"]])
      assert.equal(client.frames[0].type, "error")
      const large = yield* connect(address)
      yield* until(Effect.sync(large.opened), (opened) => opened)
      large.say({ type: "text", delta: "a".repeat(65 * 1024) })
      yield* until(Effect.sync(() => large.closed.length), (count) => count === 1)
      assert.equal(large.closed[0]![0], 1009)
      yield* none
    }))

  it.effect("says that the server goes away, once it has spoken", () =>
    Effect.gen(function*() {
      const { context } = yield* TestServer
      const client = yield* connect((yield* url).url)
      yield* until(Effect.sync(client.opened), (opened) => opened)
      client.say(open, { type: "text", delta: "This is still said" })
      yield* until(Effect.sync(Context.get(context, StreamService).sessions), (sessions) => sessions === 1)
      yield* Effect.sleep(50)
      yield* Context.get(context, StreamService).drain
      yield* until(Effect.sync(() => client.closed.length), (count) => count === 1)
      assert.deepEqual(client.closed, [[1012, "SCAISPEAK_SHUTTING_DOWN"]])
      assert.deepEqual(client.audio(), spell("This is still said"))
      yield* none
    }))
})
