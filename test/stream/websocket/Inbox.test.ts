/** What comes over a socket is read once, in order, and held to a bound while nobody reads. */
import { describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import assert from "node:assert/strict"
import { setImmediate as turn } from "node:timers/promises"
import { Inbox, SocketClosed } from "../../../src/stream/websocket/Inbox.ts"
import type { Frame } from "../../../src/stream/websocket/Inbox.ts"

const make = () => {
  const source = { isPaused: false, pauses: 0 }
  const inbox = new Inbox({
    pause: () => {
      source.isPaused = true
      source.pauses++
    },
    resume: () => {
      source.isPaused = false
    }
  })
  return { inbox, source }
}
const lost = new SocketClosed({ code: 1006 })
const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => `${from + i}`)
/** Listens in a fiber of its own, and keeps what it hears. */
const listening = (inbox: Inbox, heard: Array<Frame>) =>
  Effect.forkChild(inbox.listen((frame) => heard.push(frame)), { startImmediately: true })

describe("Inbox", () => {
  it.effect("gives everything that is there, and waits where nothing is", () =>
    Effect.gen(function*() {
      const { inbox } = make()
      numbers(0, 3).forEach((frame) => inbox.push(frame))
      assert.deepEqual(yield* inbox.next, ["0", "1", "2"])
      const waiting = yield* Effect.forkChild(inbox.next, { startImmediately: true })
      inbox.push(Uint8Array.of(7))
      assert.deepEqual(yield* Fiber.join(waiting), [Uint8Array.of(7)])
    }))

  it.effect("hands over what was not read, and then each frame before `push` returns", () =>
    Effect.gen(function*() {
      const { inbox } = make()
      const heard: Array<Frame> = []
      inbox.push("0")
      assert.deepEqual(yield* inbox.next, ["0"])
      inbox.push("1")
      inbox.push("2")
      const fiber = yield* listening(inbox, heard)
      assert.deepEqual(heard, ["1", "2"])
      inbox.push("3")
      assert.deepEqual(heard, ["1", "2", "3"])
      yield* Fiber.interrupt(fiber)
      inbox.push("4")
      assert.deepEqual(heard, ["1", "2", "3"])
      assert.deepEqual(yield* inbox.next, ["4"])
    }))

  it.live("hears 256 of one socket in a turn of the event loop, and none twice or out of order", () =>
    Effect.gen(function*() {
      const { inbox, source } = make()
      const heard: Array<Frame> = []
      yield* listening(inbox, heard)
      yield* Effect.promise(() => turn())
      numbers(0, 1000).forEach((frame) => inbox.push(frame))
      assert.equal(heard.length, 256)
      for (let turns = 0; heard.length < 1001 && turns < 20; turns++) {
        const before = heard.length
        yield* Effect.promise(() => turn())
        assert.ok(heard.length - before <= 2 * 256)
        if (turns === 0) inbox.push("1000")
      }
      assert.deepEqual(heard, numbers(0, 1001))
      assert.equal(source.pauses, 0)
    }))

  it.live("stops the socket while 64 KiB wait to be read, and not longer", () =>
    Effect.gen(function*() {
      const { inbox, source } = make()
      inbox.push("a".repeat(40_000))
      assert.equal(source.isPaused, false)
      inbox.push("b".repeat(40_000))
      assert.equal(source.isPaused, true)
      assert.equal((yield* inbox.next).length, 2)
      assert.equal(source.isPaused, false)
      const heard: Array<Frame> = []
      yield* listening(inbox, heard)
      yield* Effect.promise(() => turn())
      for (let i = 0; i < 400; i++) inbox.push("c".repeat(1000))
      assert.deepEqual([heard.length, source.isPaused], [256, true])
      for (let turns = 0; source.isPaused && turns < 10; turns++) yield* Effect.promise(() => turn())
      assert.deepEqual([heard.length, source.isPaused], [400, false])
    }))

  it.effect("what came before the end is read before it, and nothing after it", () =>
    Effect.gen(function*() {
      const { inbox } = make()
      inbox.push("0")
      inbox.close(lost)
      inbox.push("1")
      assert.deepEqual(yield* inbox.next, ["0"])
      assert.equal(yield* Effect.flip(inbox.next), lost)

      const other = make().inbox
      const heard: Array<Frame> = []
      other.push("0")
      const fiber = yield* listening(other, heard)
      other.close(new SocketClosed({ code: 1000 }))
      other.close(lost)
      assert.equal((yield* Effect.flip(Fiber.join(fiber))).code, 1000)
      assert.deepEqual(heard, ["0"])
    }))

  it.effect("a bug in who listens is that fiber's, and the event loop goes on", () =>
    Effect.gen(function*() {
      const { inbox } = make()
      const fiber = yield* Effect.forkChild(
        inbox.listen(() => {
          throw new Error("a bug")
        }),
        { startImmediately: true }
      )
      inbox.push("0")
      inbox.push("1")
      const exit = yield* Effect.exit(Fiber.join(fiber))
      assert.ok(Exit.isFailure(exit) && exit.cause.reasons.some((reason) => reason._tag === "Die"))
      // Nobody listens any more.
      assert.deepEqual(yield* inbox.next, ["1"])
    }))
})
