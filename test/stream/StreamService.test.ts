/** Live sessions over the whole service, with a scripted engine behind real gRPC: what a client gets, to the byte. */
import { describe, layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { VoiceId } from "../../src/domain/Ids.ts"
import { RunningVoices } from "../../src/services/RunningVoices.ts"
import { StreamService } from "../../src/stream/StreamService.ts"
import { spell } from "../layers/ScriptedNode.ts"
import { idle, TestServer, until } from "../layers/TestServer.ts"
import { caller, got, open } from "./Client.ts"

const text = "The first sentence is this one. The second comes right behind it. And a third."

const usageOf = (tenant: string) =>
  Effect.gen(function*() {
    const { context } = yield* TestServer
    const sql = Context.get(context, SqlClient.SqlClient)
    return yield* sql<
      { backend: string; characters: number; outcome: string; error_code: string | null; audio_ms: number }
    >`
      SELECT backend, characters, outcome, error_code, audio_ms FROM usage_records WHERE tenant_id = ${tenant} ORDER BY synthesis_id`
  }).pipe(Effect.orDie, Effect.map((rows) => rows.map((row) => ({ ...row }))))

const someone = (tenant: string) => ({ ...caller, tenantId: TenantId.make(tenant), userId: UserId.make("ada") })

const none = Effect.gen(function*() {
  const { context } = yield* TestServer
  yield* idle
  yield* until(Effect.sync(Context.get(context, StreamService).sessions), (sessions) => sessions === 0)
})

describe("StreamService", () => {
  layer(TestServer.layer({ SCAISPEAK_TENANT_SESSIONS: "2" }), { excludeTestServices: true })("a session", (it) => {
    it.effect("speaks a text as the engine speaks its sentences, sample for sample, and is one usage row", () =>
      Effect.gen(function*() {
        const { context } = yield* TestServer
        const client = yield* open(context, "spell", {}, { resumable: true, who: someone("whole") })
        assert.equal(client.session.ready.backendUsed, "A")
        for (const delta of text.match(/.{1,7}/gsu)!) yield* client.send({ type: "text", delta })
        yield* client.send({ type: "flush", id: "one" }, { type: "close" })
        yield* got(client, "closed")
        const segments = client.of("segment")
        assert.equal(segments.map((segment) => segment.text).join(""), text)
        assert.deepEqual(client.audio(), Buffer.concat(segments.map((segment) => spell(segment.text))))
        assert.deepEqual(segments.map(({ chars }) => chars), [[0, 32], [32, 66], [66, 78]])
        assert.deepEqual(segments.map(({ startMs }) => startMs), [0, 1620, 3340])
        assert.deepEqual(client.of("flush_done"), [{ type: "flush_done", id: "one", audioMs: 3960, characters: 78 }])
        assert.deepEqual(client.of("closed")[0]!.stats, {
          chars: 78,
          backendUsed: "A",
          audioMs: 3960,
          segments: 3,
          interrupted: 0
        })
        yield* until(Effect.sync(client.ended), (ended) => ended)
        assert.deepEqual(client.session.ending(), { closeCode: 1000, reason: "" })
        yield* none
        const rows = yield* until(usageOf("whole"), (rows) => rows.length > 0)
        assert.deepEqual(rows, [{
          backend: "A",
          characters: 78,
          outcome: "completed",
          error_code: null,
          audio_ms: 3960
        }])
      }))

    it.effect("answers every flush once, an empty one too, and says when there was nothing to speak", () =>
      Effect.gen(function*() {
        const { context } = yield* TestServer
        const client = yield* open(context, "spell")
        yield* client.send({ type: "flush", id: "empty" }, { type: "text", delta: " \n… !" }, {
          type: "flush",
          id: "marks"
        })
        yield* client.send({ type: "text", delta: "Half of a sent" }, { type: "flush" }, { type: "close" })
        yield* got(client, "closed")
        assert.deepEqual(client.frames().map((frame) => frame.type), [
          "flush_done",
          "warning",
          "flush_done",
          "segment",
          "flush_done",
          "closed"
        ])
        assert.deepEqual(client.of("flush_done").map(({ audioMs, characters, id }) => [id, audioMs, characters]), [
          ["empty", 0, 0],
          ["marks", 0, 0],
          [undefined, 720, 14]
        ])
        assert.equal(client.of("warning")[0]!.code, "NOTHING_TO_SPEAK")
        assert.equal(client.of("segment")[0]!.utterance, 3)
        yield* none
      }))

    it.effect("is interrupted: the engine's call ends, and it says what was heard by the engine's word times", () =>
      Effect.gen(function*() {
        const { context, node } = yield* TestServer
        const client = yield* open(context, "halting", { timestamps: "word" }, {
          resumable: false,
          who: someone("cut")
        })
        yield* client.send({ type: "text", delta: "One two three four five. And" }, { type: "flush", id: "a" })
        yield* until(Effect.sync(() => client.audio().length), (bytes) => bytes === 3 * 4800)
        // The next segment has been begun, too.
        yield* until(Effect.sync(node.open), (calls) => calls === 2)
        yield* client.send({ type: "interrupt", played_ms: 410 }, { type: "interrupt", played_ms: 410 })
        yield* got(client, "interrupted", 2)
        const [first, second] = client.of("interrupted")
        assert.deepEqual(first, {
          type: "interrupted",
          epoch: 1,
          heardText: "One two ",
          unheardText: "three four five. And",
          heardChars: 8,
          confidence: "aligned"
        })
        assert.deepEqual(second, first)
        yield* until(Effect.sync(node.open), (calls) => calls === 0)
        const [done] = client.of("flush_done")
        assert.deepEqual(done, { type: "flush_done", id: "a", audioMs: 450, characters: 25, interrupted: true })
        assert.deepEqual(client.of("words")[0]!.words[1], {
          text: "two",
          startMs: 200,
          endMs: 350,
          chars: [4, 7],
          source: "native"
        })
        const before = client.items.length
        yield* client.send({ type: "text", delta: "New" }, { type: "flush", id: "b" })
        yield* until(Effect.sync(() => client.items.length), (count) => count > before)
        const [, segment] = client.of("segment")
        assert.deepEqual([segment!.text, segment!.chars, segment!.startMs], ["New", [28, 31], 450])
        yield* client.drop
        yield* none
        const rows = yield* until(usageOf("cut"), (rows) => rows.length > 0)
        assert.deepEqual(rows.map(({ characters, outcome }) => [characters, outcome]), [[31, "aborted"]])
      }))

    it.effect("goes on behind the last item that its client has, on another transport", () =>
      Effect.gen(function*() {
        const { context } = yield* TestServer
        const whole =
          "A rather long sentence that takes some seconds to be spoken. Another one like it, for good measure. "
        const client = yield* open(context, "spell", {}, { resumable: true, reads: false })
        yield* client.send({ type: "text", delta: whole }, { type: "flush", id: "x" })
        const items = [...(yield* client.session.take), ...(yield* client.session.take)]
        // The last of these never arrived.
        const received = items.slice(0, -1)
        yield* client.drop
        const { resumeToken, sessionId } = client.session.ready
        const resume = { session_id: sessionId, token: resumeToken, last_seq: received.length }
        for (
          const wrong of [{ token: "x" }, { session_id: "ses_other" }, { last_seq: 1000 }]
        ) {
          const refused = yield* Effect.flip(open(context, "spell", { resume: { ...resume, ...wrong } }))
          assert.equal(refused._tag, "SessionNotFound")
        }
        const others = yield* Effect.flip(
          open(context, "spell", { resume }, { resumable: true, who: someone("other") })
        )
        assert.equal(others._tag, "SessionNotFound")
        const again = yield* open(context, "spell", { resume })
        assert.deepEqual(again.session.ready, client.session.ready)
        yield* again.send({ type: "close" })
        yield* got(again, "closed")
        const all = [...received, ...again.items]
        const audio = Buffer.concat(all.flatMap((item) => item._tag === "audio" ? [item.bytes] : []))
        const segments = all.flatMap((item) =>
          item._tag === "frame" && item.frame.type === "segment" ? [item.frame] : []
        )
        assert.equal(segments.map(({ text }) => text).join(""), whole)
        assert.deepEqual(audio, Buffer.concat(segments.map(({ text }) => spell(text))))
        yield* none
      }))

    it.effect("holds one of its tenant's places", () =>
      Effect.gen(function*() {
        const { context } = yield* TestServer
        const one = yield* open(context, "spell", {}, { resumable: false })
        yield* open(context, "spell", {}, { resumable: false })
        assert.equal((yield* Effect.flip(open(context, "spell", {}, { resumable: false })))._tag, "ConcurrencyLimited")
        yield* one.send({ type: "close", mode: "abort" })
        yield* got(one, "closed")
        const again = yield* open(context, "spell", {}, { resumable: false }).pipe(Effect.retry({ times: 100 }))
        yield* again.send({ type: "close" })
        yield* got(again, "closed")
      }).pipe(Effect.scoped, Effect.andThen(none)))

    it.effect("ends at once when its voice is stopped, and sends nothing that it still had", () =>
      Effect.gen(function*() {
        const { context, node } = yield* TestServer
        const client = yield* open(context, "forever", {}, { resumable: false, reads: false, who: someone("stopped") })
        yield* client.send({ type: "text", delta: "Anything." }, { type: "flush" })
        yield* until(Effect.sync(node.open), (calls) => calls === 1)
        const cuts: Array<unknown> = []
        client.session.onCut((ending) => cuts.push(ending))
        yield* Effect.sleep(50)
        yield* Context.get(context, RunningVoices).stop(VoiceId.make("vox_scripted_forever"), "consent revoked")
        assert.deepEqual(cuts, [{ closeCode: 4409, reason: "SCAISPEAK_VOICE_NOT_READY" }])
        yield* client.read
        assert.deepEqual(client.frames().map(({ type }) => type), ["error"])
        assert.equal(client.audio().length, 0)
        yield* none
        const rows = yield* until(usageOf("stopped"), (rows) => rows.length > 0)
        assert.deepEqual(rows.map((row) => [row.outcome, row.error_code]), [["failed", "SCAISPEAK_VOICE_NOT_READY"]])
      }))

    it.effect("reads no further than 30 s ahead of a client that does not read", () =>
      Effect.gen(function*() {
        const { context, node } = yield* TestServer
        const client = yield* open(context, "forever", {}, { resumable: false, reads: false })
        const before = node.written()
        yield* client.send({ type: "text", delta: "Anything." }, { type: "flush" })
        yield* until(Effect.sync(node.written), (bytes) => bytes - before > 960_000)
        let written = node.written()
        yield* until(Effect.delay(Effect.sync(node.written), 300), (bytes) => {
          const stands = bytes === written
          written = bytes
          return stands
        })
        // 30 s at 16 kHz are 960 000 bytes; the rest is what lies between here and the node.
        assert.ok(written - before < 960_000 + 2_500_000, String(written - before))
        // And on, once it does.
        yield* client.session.take
        for (let i = 0; i < 50; i++) yield* client.session.take
        yield* until(Effect.sync(node.written), (more) => more > written)
        yield* client.drop
        yield* none
      }))
  })
})
