/** The rules of a live session, one by one, on a clock that stands still until it is told. */
import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { BackendFailed, InvalidRequest } from "../../src/domain/Failure.ts"
import { StreamService } from "../../src/stream/StreamService.ts"
import * as ScriptedSynthesis from "../layers/ScriptedSynthesis.ts"
import { left, spoken } from "../layers/ScriptedSynthesis.ts"
import { connect } from "./Client.ts"

/** A character takes 1 ms to say, so a lead of 100 ms is as many characters. */
const options = {
  stream: { leadMs: 100, writeMs: 30_000, idleMs: 60_000, sessionMs: 3_600_000, resumeMs: 30_000 },
  drainMs: 10_000
}

/** Texts that were given to the engine. */
let said: Array<string> = []

const engine = ScriptedSynthesis.layer((text) => {
  said.push(text)
  if (text.startsWith("Break")) return { before: Effect.fail(new BackendFailed({ backend: "A", cause: "asked for" })) }
  if (text.startsWith("Foreign")) return { before: Effect.fail(InvalidRequest.field("text", "is not English")) }
  if (text.startsWith("Crash")) return { before: Effect.die("asked for") }
  if (text.startsWith("Never")) return { before: Effect.never }
  if (text.startsWith("Taken")) {
    return { backend: ["A", "B"], pieces: [spoken("Taken"), spoken(text.slice("Taken".length))] }
  }
  return text.startsWith("Other") ? { backend: "B" } : {}
})

const opened = (
  resume?: object,
  options: { readonly resumable: boolean; readonly reads?: boolean } = { resumable: true }
) =>
  Effect.flatMap(StreamService, (service) =>
    connect(service, {
      voice_id: "vox_test",
      output: { codec: "pcm", sample_rate: 8000 },
      ...(resume === undefined ? {} : { resume })
    }, options))

const turn = Effect.repeat(Effect.yieldNow, { times: 20 })

const rule = <E>(name: string, effect: Effect.Effect<void, E, StreamService | import("effect").Scope.Scope>) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      said = []
      yield* effect
      const service = yield* StreamService
      // Whatever is left of it has no transport any more.
      yield* TestClock.adjust("10 minutes")
      assert.equal(service.sessions(), 0)
      assert.deepEqual(left, { calls: 0, sessions: 0 })
    }).pipe(Effect.provide(StreamService.layer(options).pipe(Layer.provide([engine, ScriptedSynthesis.encoders])))))

const types = (client: { readonly frames: () => ReadonlyArray<{ readonly type: string }> }) =>
  client.frames().map(({ type }) => type)

describe("pacing", () => {
  rule(
    "begins a sentence only while what was made is less than the lead ahead of the clock, or of the listener's reports",
    Effect.gen(function*() {
      const client = yield* opened()
      const sentence = (letter: string) => `${letter.repeat(79)}. `
      yield* client.send({ type: "text", delta: ["A", "B", "C", "D", "E", "F"].map(sentence).join("") })
      yield* turn
      // 81 ms are made, then 162: the second began below the lead, the third waits.
      assert.equal(said.length, 2)
      yield* TestClock.adjust(61)
      assert.equal(said.length, 2)
      yield* TestClock.adjust(30)
      assert.equal(said.length, 3)
      // The listener is further than the clock thinks.
      yield* client.send({ type: "played", ms: 160 })
      yield* turn
      assert.equal(said.length, 4)
      yield* client.send({ type: "close", mode: "abort" })
      yield* turn
    })
  )

  rule(
    "holds audio in a pause, lets it go at resume, and forgets it at an interrupt",
    Effect.gen(function*() {
      const client = yield* opened()
      yield* client.send({ type: "pause" }, { type: "text", delta: "One sentence. " }, { type: "flush", id: "a" })
      yield* turn
      assert.deepEqual(types(client), ["segment"])
      yield* client.send({ type: "resume" })
      yield* turn
      assert.deepEqual(types(client), ["segment", "flush_done"])
      assert.deepEqual(client.audio(), spoken("One sentence. "))
      yield* TestClock.adjust(14)
      yield* client.send({ type: "pause" }, { type: "text", delta: "Two sentences. " }, { type: "flush", id: "b" })
      yield* turn
      yield* client.send({ type: "interrupt" })
      yield* turn
      assert.deepEqual(client.frames().slice(-2), [
        { type: "flush_done", id: "b", audioMs: 0, characters: 15, interrupted: true },
        {
          type: "interrupted",
          epoch: 1,
          heardText: "One sentence. ",
          unheardText: "Two sentences. ",
          heardChars: 14,
          confidence: "estimated"
        }
      ])
      assert.deepEqual(client.audio(), spoken("One sentence. "))
      yield* client.send({ type: "close" })
      yield* turn
    })
  )

  rule(
    "says what was heard by the clock where nobody reports it",
    Effect.gen(function*() {
      const client = yield* opened()
      yield* client.send({ type: "text", delta: "aaaa bbbb cccc dddd eeee. Rest" })
      yield* turn
      yield* TestClock.adjust(12)
      yield* client.send({ type: "interrupt" })
      yield* turn
      const [interrupted] = client.of("interrupted")
      assert.equal(interrupted!.heardText, "aaaa bbbb ")
      assert.equal(interrupted!.unheardText, "cccc dddd eeee. Rest")
      yield* client.send({ type: "close" })
      yield* turn
    })
  )
})

describe("ends", () => {
  const ends = (
    name: string,
    code: string,
    closeCode: number,
    effect: (client: Effect.Success<ReturnType<typeof opened>>) => Effect.Effect<unknown, never, StreamService>
  ) =>
    rule(
      name,
      Effect.gen(function*() {
        const client = yield* opened()
        yield* effect(client)
        yield* turn
        const last = client.frames().at(-1)
        assert.equal(last?.type === "error" ? last.code : last?.type, code)
        assert.deepEqual(client.session.ending(), { closeCode, reason: closeCode === 1000 ? "" : code })
        assert.ok(client.ended())
      })
    )

  ends("a session without any frame", "SCAISPEAK_SESSION_TIMEOUT", 4408, () => TestClock.adjust("61 seconds"))
  ends("but not one that is kept alive", "closed", 1000, (client) =>
    Effect.gen(function*() {
      for (let i = 0; i < 4; i++) {
        yield* TestClock.adjust("50 seconds")
        yield* client.send({ type: "keepalive" })
      }
      yield* client.send({ type: "close" })
    }))
  ends("an old session, when it has said what was buffered", "closed", 1000, (client) =>
    Effect.gen(function*() {
      for (let i = 0; i < 73; i++) {
        yield* TestClock.adjust("50 seconds")
        if (i === 70) yield* client.send({ type: "text", delta: "The last thing it says" })
        yield* client.send({ type: "keepalive" })
      }
      assert.deepEqual(client.audio(), spoken("The last thing it says"))
      assert.ok(types(client).includes("warning"))
    }))
  ends(
    "at a frame that is none",
    "VALIDATION_ERROR",
    4400,
    (client) => Effect.sync(() => client.session.receive(InvalidRequest.field("type", "must be one of …")))
  )
  ends("at the 21st control frame of a second", "RATE_LIMITED", 4429, (client) =>
    Effect.gen(function*() {
      for (let i = 0; i < 20; i++) yield* client.send({ type: "keepalive" })
      yield* TestClock.adjust(1000)
      for (let i = 0; i < 20; i++) yield* client.send({ type: "keepalive" })
      yield* turn
      assert.deepEqual(types(client), [])
      yield* client.send({ type: "keepalive" })
    }))
  ends("when more text waits than may", "VALIDATION_ERROR", 4400, (client) =>
    Effect.gen(function*() {
      yield* client.send({ type: "text", delta: "Never. " })
      yield* client.send({ type: "text", delta: "a".repeat(7990) })
      yield* turn
      assert.deepEqual(types(client), [])
      yield* client.send({ type: "text", delta: "aaaa" })
    }))
  ends(
    "when its backends break, after what was said before",
    "SCAISPEAK_BACKEND_FAILED",
    4502,
    (client) =>
      Effect.gen(function*() {
        yield* client.send({ type: "text", delta: "This can be said. Break here. " }, { type: "flush" })
        yield* turn
        assert.deepEqual(client.audio(), spoken("This can be said. "))
      })
  )
  ends(
    "at a bug, of which nothing is told",
    "INTERNAL_ERROR",
    1011,
    (client) => client.send({ type: "text", delta: "Crash here, please." }, { type: "flush" })
  )
  ends(
    "when the process goes away, once it has spoken",
    "SCAISPEAK_SHUTTING_DOWN",
    1012,
    (client) =>
      Effect.gen(function*() {
        const service = yield* StreamService
        yield* client.send({ type: "text", delta: "This is still said" })
        yield* service.drain
        yield* turn
        assert.deepEqual(client.audio(), spoken("This is still said"))
        const refused = yield* Effect.result(Effect.scoped(opened()))
        assert.equal(refused._tag === "Failure" && refused.failure._tag, "ShuttingDown")
      })
  )
  ends(
    "when the process has waited for it as long as it may",
    "SCAISPEAK_SHUTTING_DOWN",
    1012,
    (client) =>
      Effect.gen(function*() {
        yield* client.send({ type: "text", delta: "Never ends this. " })
        yield* (yield* StreamService).drain
        yield* turn
        assert.ok(!client.ended())
        yield* TestClock.adjust("11 seconds")
      })
  )

  rule(
    "a session whose client does not read, past the write limit",
    Effect.gen(function*() {
      const client = yield* opened(undefined, { resumable: true, reads: false })
      const cuts: Array<unknown> = []
      client.session.onCut((ending) => cuts.push(ending))
      yield* client.send({ type: "text", delta: "Something to read. " }, { type: "flush" })
      yield* TestClock.adjust("29 seconds")
      assert.deepEqual(cuts, [])
      yield* TestClock.adjust("2 seconds")
      assert.deepEqual(cuts, [{ closeCode: 4408, reason: "SCAISPEAK_CLIENT_TOO_SLOW" }])
      assert.equal((yield* StreamService).sessions(), 0)
    })
  )
  rule(
    "one that lost its transport, 30 s later; before, it waits",
    Effect.gen(function*() {
      const client = yield* opened()
      const { resumeToken: token, sessionId } = client.session.ready
      const resume = { session_id: sessionId, token, last_seq: 0 }
      yield* client.drop
      yield* TestClock.adjust("29 seconds")
      const again = yield* opened(resume)
      yield* again.drop
      yield* TestClock.adjust("31 seconds")
      assert.equal((yield* Effect.flip(opened(resume)))._tag, "SessionNotFound")
    })
  )
  rule(
    "the old transport, when another one resumes the session",
    Effect.gen(function*() {
      const old = yield* opened()
      const { resumeToken: token, sessionId } = old.session.ready
      const again = yield* opened({ session_id: sessionId, token, last_seq: 0 })
      yield* turn
      assert.ok(old.ended())
      assert.deepEqual(old.session.ending(), { closeCode: 1000, reason: "resumed elsewhere" })
      yield* old.drop
      yield* again.send({ type: "text", delta: "Still there." }, { type: "close" })
      yield* turn
      assert.deepEqual(again.audio(), spoken("Still there."))
      assert.equal(old.items.length, 0)
    })
  )
})

describe("goes on", () => {
  rule(
    "without a part that the engine cannot speak, and says so",
    Effect.gen(function*() {
      const client = yield* opened()
      yield* client.send({ type: "text", delta: "This is said. Foreign words are not. This is said, too. " })
      yield* client.send({ type: "flush", id: "x" }, { type: "close" })
      yield* turn
      yield* TestClock.adjust("1 second")
      assert.deepEqual(types(client), ["segment", "warning", "segment", "flush_done", "closed"])
      assert.equal(client.of("warning")[0]!.code, "TEXT_REFUSED")
      assert.match(client.of("warning")[0]!.message, /text: is not English$/u)
      assert.equal(client.of("flush_done")[0]!.characters, 33)
    })
  )
  rule(
    "on another backend, and says from where",
    Effect.gen(function*() {
      const client = yield* opened()
      yield* client.send({
        type: "text",
        delta: "This is said at home. Other sentences are elsewhere. Then it is home again. "
      })
      yield* client.send({ type: "flush" }, { type: "close" })
      yield* turn
      yield* TestClock.adjust("1 second")
      assert.deepEqual(client.of("switched"), [
        { type: "switched", from: "A", to: "B", atMs: 22 },
        { type: "switched", from: "B", to: "A", atMs: 53 }
      ])
    })
  )
  rule(
    "on another backend within a sentence, and says from which sample on",
    Effect.gen(function*() {
      const client = yield* opened()
      yield* client.send({ type: "text", delta: "First one. Taken over. Last one. " }, { type: "close" })
      yield* turn
      yield* TestClock.adjust("1 second")
      assert.deepEqual(client.of("switched"), [
        { type: "switched", from: "A", to: "B", atMs: "First one. Taken".length }
      ])
      // In its place among the audio, and nothing of that is lost.
      const at = client.items.findIndex((item) => item._tag === "frame" && item.frame.type === "switched")
      const before = client.items.slice(0, at).flatMap((item) => item._tag === "audio" ? [item.bytes] : [])
      assert.deepEqual(Buffer.concat(before), spoken("First one. Taken"))
      assert.deepEqual(client.audio(), spoken("First one. Taken over. Last one. "))
    })
  )
  rule(
    "takes no more text once it closes",
    Effect.gen(function*() {
      const client = yield* opened()
      yield* client.send({ type: "text", delta: "Said. Never ends. " }, { type: "close" })
      yield* client.send({ type: "text", delta: "Not said." }, { type: "flush" })
      yield* turn
      assert.deepEqual(client.of("warning").map(({ code }) => code), ["CLOSING", "CLOSING"])
      yield* client.send({ type: "close", mode: "abort" })
      yield* turn
      assert.deepEqual(types(client).at(-1), "closed")
      assert.deepEqual(said, ["Said. ", "Never ends. "])
    })
  )
})
