/** What a transport is handed: the same whether it waits for it or is called, and however long its writes take. */
import { describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { RequestId } from "../../../src/domain/Ids.ts"
import { decodeClientFrame } from "../../../src/domain/stream/ClientFrame.ts"
import type { LiveFrame, Open } from "../../../src/domain/stream/ClientFrame.ts"
import { StreamService } from "../../../src/stream/StreamService.ts"
import type { OutputItem } from "../../../src/stream/StreamService.ts"
import * as ScriptedSynthesis from "../../layers/ScriptedSynthesis.ts"
import { left, spoken } from "../../layers/ScriptedSynthesis.ts"
import { caller } from "../Client.ts"

const options = {
  stream: { leadMs: 5000, writeMs: 30_000, idleMs: 60_000, sessionMs: 3_600_000, resumeMs: 30_000 },
  drainMs: 10_000
}

const large = Uint8Array.from({ length: 100_000 }, (_, i) => 1 + (i % 250))
const engine = ScriptedSynthesis.layer((text) => text.startsWith("Large") ? { pieces: [large] } : {})

const opened = (more: object = {}) =>
  Effect.flatMap(StreamService, (service) => {
    const frame = decodeClientFrame({
      type: "open",
      voice_id: "vox_test",
      output: { codec: "pcm", sample_rate: 8000 },
      ...more
    })
    assert.ok(frame._tag === "Success")
    return service.open(caller, RequestId.make("req_test"), frame.success as Open)
  })

const texts: ReadonlyArray<LiveFrame> = [
  { type: "text", delta: "One sentence. Another one. " },
  { type: "flush" },
  { type: "close", mode: "drain" }
]
const whole = spoken("One sentence. Another one. ")
const audio = (items: ReadonlyArray<OutputItem>) =>
  Buffer.concat(items.flatMap((item) => item._tag === "audio" ? [item.bytes] : []))
const types = (items: ReadonlyArray<OutputItem>) =>
  items.flatMap((item) => item._tag === "frame" ? [item.frame.type] : [])

const story = (name: string, effect: Effect.Effect<void, unknown, StreamService | Scope.Scope>) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      yield* Effect.scoped(effect)
      yield* TestClock.adjust("31 seconds")
      assert.equal((yield* StreamService).sessions(), 0)
      assert.deepEqual(left, { calls: 0, sessions: 0 })
    }).pipe(
      Effect.provide(
        StreamService.layer(options).pipe(
          Layer.provide([engine, ScriptedSynthesis.encoders])
        )
      )
    ))

describe("pump", () => {
  for (const how of ["at once", "later", "at once, then later"] as const) {
    story(
      `hands over everything, in order, with writes that are over ${how}`,
      Effect.gen(function*() {
        const session = yield* opened()
        const items: Array<OutputItem> = []
        let writes = 0
        let open = 0
        const pumping = yield* Effect.forkChild(
          session.pump((some, written) => {
            assert.equal(open++, 0)
            items.push(...some)
            const over = () => {
              open--
              written()
            }
            if (how === "later" || (how !== "at once" && ++writes % 2 === 0)) queueMicrotask(over)
            else over()
          }),
          { startImmediately: true }
        )
        texts.forEach(session.receive)
        yield* Fiber.join(pumping)
        assert.deepEqual(audio(items), whole)
        assert.deepEqual(types(items), ["segment", "segment", "flush_done", "closed"])
        assert.deepEqual(session.ending(), { closeCode: 1000, reason: "" })
      })
    )
  }

  story(
    "hands over audio in pieces of 8 KiB at most, however much an engine sends at once",
    Effect.gen(function*() {
      const session = yield* opened()
      const items: Array<OutputItem> = []
      const pumping = yield* Effect.forkChild(
        session.pump((some, written) => {
          items.push(...some)
          written()
        }),
        { startImmediately: true }
      )
      session.receive({ type: "text", delta: "Large one. " })
      texts.slice(1).forEach(session.receive)
      yield* Fiber.join(pumping)
      assert.deepEqual(audio(items), Buffer.from(large))
      assert.ok(items.every((item) => item._tag === "frame" || item.bytes.length <= 8192))
    })
  )

  story(
    "stays behind a write that is not over, and goes on when it is",
    Effect.gen(function*() {
      const session = yield* opened()
      const items: Array<OutputItem> = []
      const writes: Array<() => void> = []
      const pumping = yield* Effect.forkChild(
        session.pump((some, written) => {
          items.push(...some)
          writes.push(written)
        }),
        { startImmediately: true }
      )
      texts.forEach(session.receive)
      yield* TestClock.adjust("1 second")
      assert.equal(writes.length, 1)
      for (let i = 0; i < 50; i++) {
        writes.shift()?.()
        yield* Effect.yieldNow
      }
      yield* Fiber.join(pumping)
      assert.deepEqual(audio(items), whole)
    })
  )

  story(
    "ends with a defect where the transport throws, and the session waits for another one",
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const session = yield* Scope.provide(opened(), scope)
      const pumping = yield* Effect.forkChild(
        session.pump(() => {
          throw new Error("a bug")
        }),
        { startImmediately: true }
      )
      session.receive(texts[0]!)
      const exit = yield* Effect.exit(Fiber.join(pumping))
      assert.ok(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      yield* Scope.close(scope, Exit.void)
      assert.equal((yield* StreamService).sessions(), 1)
    })
  )

  story(
    "that was left behind takes nothing from the transport that goes on",
    Effect.gen(function*() {
      const old = yield* Scope.make()
      const first = yield* Scope.provide(opened(), old)
      let writes = 0
      // Its peer does not read.
      const stuck = yield* Effect.forkChild(
        first.pump(() => {
          writes++
        }),
        { startImmediately: true }
      )
      first.receive(texts[0]!)
      yield* TestClock.adjust("1 second")
      const { resumeToken: token, sessionId: session_id } = first.ready
      const second = yield* opened({ resume: { session_id, token, last_seq: 0 } })
      const items: Array<OutputItem> = []
      const pumping = yield* Effect.forkChild(
        second.pump((some, written) => {
          items.push(...some)
          written()
        }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(stuck)
      yield* Scope.close(old, Exit.void)
      texts.slice(1).forEach(second.receive)
      yield* Fiber.join(pumping)
      assert.equal(writes, 1)
      assert.deepEqual(audio(items), whole)
    })
  )
})
