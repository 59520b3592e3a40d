/** What a socket carries: one session, its frames as JSON, its audio as bytes, and its end as a close code. */
import { describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { BackendFailed } from "../../../src/domain/Failure.ts"
import { RequestId } from "../../../src/domain/Ids.ts"
import { StreamService } from "../../../src/stream/StreamService.ts"
import { carry } from "../../../src/stream/websocket/SpeakSocket.ts"
import * as ScriptedSynthesis from "../../layers/ScriptedSynthesis.ts"
import { left, spoken } from "../../layers/ScriptedSynthesis.ts"
import { caller } from "../Client.ts"

const options = {
  stream: { leadMs: 5000, writeMs: 30_000, idleMs: 60_000, sessionMs: 3_600_000, resumeMs: 30_000 },
  drainMs: 10_000
}
const engine = ScriptedSynthesis.layer((text) =>
  text.startsWith("Break") ? { before: Effect.fail(new BackendFailed({ backend: "A", cause: "asked for" })) } : {}
)

/** The other end of a socket. */
const socket = Effect.fnUntraced(function*(reads: () => boolean = () => true) {
  const incoming = yield* Queue.unbounded<string | Uint8Array, number>()
  const sent: Array<string | Uint8Array> = []
  const closed: Array<[number, string | undefined]> = []
  const connection = {
    user: caller,
    resourceId: null as string | null,
    outcome: "allowed" as const,
    receive: Queue.takeAll(incoming),
    listen: (hear: (frame: string | Uint8Array) => void) =>
      Effect.forever(Effect.map(Queue.takeAll(incoming), (frames) => frames.forEach(hear))),
    write: (frames: ReadonlyArray<string | Uint8Array>, written: () => void) => {
      if (!reads()) return
      sent.push(...frames)
      written()
    },
    send: (frame: string | Uint8Array) => Effect.sync(() => sent.push(frame)),
    close: (code: number, reason?: string) => Effect.sync(() => closed.push([code, reason])),
    cut: () => {},
    waits: () => {},
    endOf: (code: number) => code === 1000 ? "left" as const : "lost" as const
  }
  const fiber = yield* Effect.forkChild(Effect.scoped(carry(connection, RequestId.make("req_test"))))
  const frames = () => sent.flatMap((frame) => typeof frame === "string" ? [JSON.parse(frame)] : [])
  return {
    connection,
    closed,
    frames,
    audio: () => Buffer.concat(sent.flatMap((frame) => typeof frame === "string" ? [] : [frame])),
    say: (...messages: ReadonlyArray<object | string>) =>
      Effect.andThen(
        Queue.offerAll(
          incoming,
          messages.map((message) => typeof message === "string" ? message : JSON.stringify(message))
        ),
        turn
      ),
    leave: (code: number) => Effect.andThen(Queue.fail(incoming, code), Effect.exit(Fiber.join(fiber))),
    fiber
  }
})

const turn = Effect.repeat(Effect.yieldNow, { times: 30 })
const open = { type: "open", voice_id: "vox_test", output: { codec: "pcm", sample_rate: 8000 } }

const story = <E>(name: string, effect: Effect.Effect<void, E, StreamService>) =>
  it.effect(name, () =>
    Effect.andThen(
      effect,
      Effect.gen(function*() {
        yield* TestClock.adjust("2 minutes")
        assert.equal((yield* StreamService).sessions(), 0)
        assert.deepEqual(left, { calls: 0, sessions: 0 })
      })
    ).pipe(Effect.provide(StreamService.layer(options).pipe(Layer.provide([engine, ScriptedSynthesis.encoders])))))

describe("SpeakSocket", () => {
  story(
    "carries a session from open to closed",
    Effect.gen(function*() {
      const client = yield* socket()
      yield* client.say(open, { type: "text", delta: "Hello there." }, { type: "flush", id: "a" }, { type: "close" })
      yield* Fiber.join(client.fiber)
      assert.deepEqual(client.frames().map(({ type }) => type), ["ready", "segment", "flush_done", "closed"])
      assert.deepEqual(client.audio(), spoken("Hello there."))
      assert.deepEqual(client.closed, [[1000, ""]])
      assert.equal(client.connection.resourceId, "vox_test")
    })
  )

  const refused = (
    name: string,
    messages: ReadonlyArray<object | string>,
    code: string,
    closeCode: number,
    field?: string
  ) =>
    story(
      name,
      Effect.gen(function*() {
        const client = yield* socket()
        yield* client.say(...messages)
        yield* Fiber.join(client.fiber)
        const error = client.frames().at(-1)
        assert.deepEqual([error.type, error.code, error.details?.[0].field], ["error", code, field])
        assert.deepEqual(client.closed, [[closeCode, code]])
      })
    )
  refused("refuses what is no JSON", ["{"], "VALIDATION_ERROR", 4400, "frame")
  refused("refuses another first frame", [{ type: "flush" }], "VALIDATION_ERROR", 4400, "type")
  refused("refuses a second open", [open, open], "VALIDATION_ERROR", 4400, "type")
  refused("refuses a frame that does not fit", [open, { type: "text" }], "VALIDATION_ERROR", 4400, "delta")
  refused(
    "refuses a session that is not there",
    [{ ...open, resume: { session_id: "ses_none", token: "x", last_seq: 0 } }],
    "SCAISPEAK_SESSION_NOT_FOUND",
    4404
  )
  refused(
    "tells what broke",
    [open, { type: "text", delta: "Break here." }, { type: "flush" }],
    "SCAISPEAK_BACKEND_FAILED",
    4502
  )

  story(
    "waits 10 s for an open",
    Effect.gen(function*() {
      const client = yield* socket()
      yield* TestClock.adjust("9 seconds")
      assert.deepEqual(client.closed, [])
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(client.fiber)
      assert.deepEqual(client.closed, [[4408, "SCAISPEAK_SESSION_TIMEOUT"]])
    })
  )

  story(
    "keeps the session of a socket that is lost, and not of one that is closed",
    Effect.gen(function*() {
      const service = yield* StreamService
      const lost = yield* socket()
      yield* lost.say(open)
      assert.ok(Exit.isFailure(yield* lost.leave(1006)))
      assert.equal(service.sessions(), 1)
      const { resume_token: token, session_id } = lost.frames()[0]
      const again = yield* socket()
      yield* again.say({ ...open, resume: { session_id, token, last_seq: 0 } }, { type: "text", delta: "Back. " })
      yield* again.say({ type: "flush" })
      assert.deepEqual(again.audio(), spoken("Back. "))
      yield* again.leave(1000)
      yield* TestClock.adjust("31 seconds")
      assert.equal(service.sessions(), 0)
    })
  )

  story(
    "does not wait for a client that does not read",
    Effect.gen(function*() {
      let reads = true
      const client = yield* socket(() => reads)
      yield* client.say(open)
      reads = false
      yield* client.say({ type: "text", delta: "First. Another one. " }, { type: "flush" }, { type: "flush" })
      yield* client.say({ type: "text", delta: "And one more of them. " }, { type: "flush" })
      yield* TestClock.adjust("31 seconds")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(client.fiber)
      assert.deepEqual(client.closed, [[4408, "SCAISPEAK_CLIENT_TOO_SLOW"]])
    })
  )
})
