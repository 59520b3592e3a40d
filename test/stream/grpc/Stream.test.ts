/** `Stream`: live sessions over one call, by a real client on loopback, against the whole service and a scripted engine. */
import { layer } from "@effect/vitest"
import { status } from "@grpc/grpc-js"
import type { ClientDuplexStream } from "@grpc/grpc-js"
import { Context, Effect, Fiber } from "effect"
import assert from "node:assert/strict"
import { StreamCodec } from "../../../src/proto/scaispeak/v1/speak.ts"
import type { ClientFrame, ServerFrame } from "../../../src/proto/scaispeak/v1/speak.ts"
import { StreamService } from "../../../src/stream/StreamService.ts"
import { consented } from "../../layers/consented.ts"
import { spell } from "../../layers/ScriptedNode.ts"
import { idle, send, TestServer, until } from "../../layers/TestServer.ts"
import { audited, bearer, collect, connected, frame, framed, raw, statusOf } from "./Client.ts"

const open = (voice: string, more: object = {}) =>
  frame("open", {
    voiceId: voice.startsWith("vox_") ? voice : `vox_scripted_${voice}`,
    output: { codec: StreamCodec.PCM, sampleRate: 16_000 },
    ...more
  })
const text = (delta: string) => frame("text", { delta })
const say = (call: ClientDuplexStream<ClientFrame, ServerFrame>, ...frames: ReadonlyArray<ClientFrame>) => {
  for (const one of frames) call.write(one)
}
const names = (events: ReadonlyArray<ServerFrame>) => events.map(({ frame }) => frame?.$case)
const audioOf = (events: ReadonlyArray<ServerFrame>) =>
  Buffer.concat(events.flatMap(({ frame }) => frame?.$case === "audio" ? [frame.value] : []))

const rowsOf = (requestId: string) =>
  Effect.map(audited("grpc.stream"), (rows) => rows.filter((row) => row.request_id === requestId))

/** Calls and sessions: none is left. */
const none = Effect.gen(function*() {
  const { context } = yield* TestServer
  yield* idle
  yield* until(Effect.sync(Context.get(context, StreamService).sessions), (sessions) => sessions === 0)
})

layer(TestServer.layer(), { excludeTestServices: true })("Stream", (it) => {
  it.effect("carries a live session: open, text, flush, half-close; and is one audit row", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const call = client.stream(bearer(token, { "x-request-id": "session-1" }))
      say(call, open("spell"), text("One sen"), text("tence."), frame("flush", { id: "f1" }))
      call.end()
      const { error, events, head } = yield* collect(call)
      assert.equal(error, undefined)
      assert.deepEqual(head?.get("x-request-id"), ["session-1"])
      assert.equal(names(events)[0], "ready")
      assert.deepEqual(names(events).filter((name) => name !== "audio"), ["ready", "segment", "flushDone", "closed"])
      assert.ok(audioOf(events).equals(spell("One sentence.")))
      yield* none
      const rows = yield* until(rowsOf("session-1"), ({ length }) => length === 1)
      assert.deepEqual([rows[0]!.outcome, rows[0]!.resource_id], ["allowed", "vox_scripted_spell"])
    }))

  it.effect("refuses what does not begin with open, and ends a session over a bad frame", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const early = client.stream(bearer(token))
      say(early, text("x"))
      assert.equal((yield* collect(early)).error?.code, status.INVALID_ARGUMENT)
      const cases: ReadonlyArray<readonly [ClientFrame, string, number]> = [
        [open("say"), "VALIDATION_ERROR", status.INVALID_ARGUMENT],
        [frame("interrupt", { playedMs: -1 }), "VALIDATION_ERROR", status.INVALID_ARGUMENT],
        [frame("close", { mode: 7 }), "VALIDATION_ERROR", status.INVALID_ARGUMENT],
        [{ frame: undefined }, "VALIDATION_ERROR", status.INVALID_ARGUMENT],
        [text("a".repeat(70_000)), "PAYLOAD_TOO_LARGE", status.RESOURCE_EXHAUSTED]
      ]
      for (const [bad, code, number] of cases) {
        const call = client.stream(bearer(token))
        say(call, open("say"), bad)
        const { error, events } = yield* collect(call)
        assert.deepEqual([error?.code, error?.metadata.get("scaispeak-error-code")], [number, [code]])
        const last = events.at(-1)?.frame
        assert.ok(last?.$case === "error" && last.value.code === code, JSON.stringify(last))
      }
      yield* none
    }))

  it.effect("what is no message ends the session in the frames' own words", () =>
    Effect.gen(function*() {
      const { address, token } = yield* connected
      const { call } = yield* raw(address, "Stream", token, framed(Buffer.from([0xff, 0xff, 0xff])))
      const ended = yield* statusOf(call)
      assert.deepEqual([ended["grpc-status"], ended["scaispeak-error-code"]], ["3", "VALIDATION_ERROR"])
      yield* none
    }))

  it.effect("a session whose call is cancelled is over", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const call = client.stream(bearer(token))
      say(call, open("forever"), text("One. Two. Three."))
      call.once("data", () => call.cancel())
      assert.equal((yield* collect(call)).error?.code, status.CANCELLED)
      yield* none
    }))

  it.effect("unless it was asked to wait: another call goes on where the first broke, frame for frame", () =>
    Effect.gen(function*() {
      const { client, context, token } = yield* connected
      const first = client.stream(bearer(token, { "scaispeak-resumable": "true", "x-request-id": "broken-1" }))
      const seen: Array<ServerFrame> = []
      first.on("data", (event: ServerFrame) => seen.push(event)).on("error", () => {})
      say(first, open("spell"), text("The first sentence. "), frame("flush", { id: "one" }))
      yield* until(Effect.sync(() => names(seen)), (all) => all.includes("flushDone"))
      first.cancel()
      const ready = seen[0]?.frame
      assert.ok(ready?.$case === "ready")
      yield* until(rowsOf("broken-1"), ({ length }) => length === 1)
      assert.equal(Context.get(context, StreamService).sessions(), 1)

      // Of what came behind `ready`, the last frame was lost on the way.
      const { resumeToken, sessionId } = ready.value
      const second = client.stream(bearer(token))
      say(second, open("spell", { resume: { sessionId, token: resumeToken, lastSeq: seen.length - 2 } }))
      say(second, text("The second."), frame("close"))
      const { error, events } = yield* collect(second)
      assert.equal(error, undefined)
      assert.deepEqual(events[0], seen[0])
      assert.deepEqual(events[1], seen.at(-1))
      const segments = [...seen, ...events].flatMap(({ frame }) => frame?.$case === "segment" ? [frame.value.text] : [])
      assert.equal(segments.join(""), "The first sentence. The second.")
      yield* none
    }))

  it.effect("a voice whose consent is taken back ends its session", () =>
    Effect.gen(function*() {
      const server = yield* connected
      const voiceId = yield* consented(server, "steady")
      const call = server.client.stream(bearer(server.token))
      say(call, open(voiceId), text("One. Two."), frame("flush"))
      const running = yield* Effect.forkChild(collect(call))
      yield* until(server.counters, ({ nodeCalls }) => nodeCalls === 1)
      yield* send("POST", `${server.url}/voices/${voiceId}/consent/revoke`, {}, server.token)
      const { error, events } = yield* Fiber.join(running)
      assert.deepEqual(error?.metadata.get("scaispeak-error-code"), ["SCAISPEAK_VOICE_NOT_READY"])
      assert.equal(names(events).at(-1), "error")
      yield* none
    }))
})
