import { describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import assert from "node:assert/strict"
import * as WorkerPool from "../../src/services/WorkerPool.ts"

interface Job {
  readonly name: string
  readonly millis: number
}

const make = (size: number, jobMillisMax = 5000) =>
  WorkerPool.make<Job, string>({
    size,
    entry: new URL("./echoWorker.ts", import.meta.url),
    workerData: undefined,
    jobMillisMax
  })

describe("WorkerPool", () => {
  it.live("gives callers turns, so that many jobs of one do not hold up another's", () =>
    Effect.gen(function*() {
      const pool = yield* make(1)
      const order: Array<string> = []
      const ask = (caller: object, name: string) =>
        Effect.forkChild(Effect.map(pool.run(caller, { name, millis: 5 }), (made) => order.push(made)))
      const [long, short] = [{}, {}]
      const fibers = yield* Effect.forEach(["a1", "a2", "a3", "a4"], (name) => ask(long, name))
      fibers.push(yield* ask(short, "b1"))
      yield* Effect.forEach(fibers, Fiber.join)
      assert.ok(order.indexOf("b1") <= 2, order.join())
      assert.deepEqual(order.filter((name) => name.startsWith("a")), ["a1", "a2", "a3", "a4"])
    }))

  it.live("starts no thread before its first job when it is lazy", () =>
    Effect.gen(function*() {
      let threads = 0
      const started = () => threads++
      process.on("worker", started)
      const pool = yield* WorkerPool.make<Job, string>({
        size: 1,
        entry: new URL("./echoWorker.ts", import.meta.url),
        workerData: undefined,
        jobMillisMax: 5000,
        lazy: true
      })
      assert.equal(threads, 0)
      for (const name of ["first", "second"]) assert.equal(yield* pool.run({}, { name, millis: 0 }), name)
      yield* Effect.sleep(1)
      assert.equal(threads, 1)
      process.off("worker", started)
    }))

  it.live("drops a job that is abandoned before its turn, and counts one that runs until it ends", () =>
    Effect.gen(function*() {
      const pool = yield* make(1)
      yield* pool.run({}, { name: "started", millis: 0 })
      const running = yield* Effect.forkChild(pool.run({}, { name: "running", millis: 100 }))
      const waiting = yield* Effect.forkChild(pool.run({}, { name: "waiting", millis: 10_000 }))
      yield* Effect.yieldNow
      assert.deepEqual([pool.running(), pool.queued()], [1, 1])
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(running)
      assert.deepEqual([pool.running(), pool.queued()], [1, 0])
      assert.equal(yield* pool.run({}, { name: "next", millis: 0 }), "next")
      assert.deepEqual([pool.running(), pool.queued()], [0, 0])
    }))

  it.live("fails only the job that the worker says it cannot do", () =>
    Effect.gen(function*() {
      const pool = yield* make(1)
      assert.equal((yield* Effect.flip(pool.run({}, { name: "bad", millis: 0 }))).reason, "bad")
      assert.equal(yield* pool.run({}, { name: "good", millis: 0 }), "good")
    }))

  it.live("replaces a worker that ends, failing its job alone", () =>
    Effect.gen(function*() {
      const pool = yield* make(2)
      const other = yield* Effect.forkChild(pool.run({}, { name: "other", millis: 100 }))
      assert.match((yield* Effect.flip(pool.run({}, { name: "dead", millis: -1 }))).reason, /ended with code 1/u)
      assert.equal(yield* Fiber.join(other), "other")
      const names = yield* Effect.forEach(["x", "y", "z"], (name) => pool.run({}, { name, millis: 20 }), {
        concurrency: 3
      })
      assert.deepEqual(names, ["x", "y", "z"])
    }))

  it.live("replaces a worker that hangs", () =>
    Effect.gen(function*() {
      const pool = yield* make(1, 400)
      assert.match((yield* Effect.flip(pool.run({}, { name: "hung", millis: 60_000 }))).reason, /no answer in 400 ms/u)
      assert.equal(yield* pool.run({}, { name: "next", millis: 0 }), "next")
    }))

  it.live("fails jobs, and nothing else, when its workers cannot start", () =>
    Effect.gen(function*() {
      const pool = yield* WorkerPool.make<Job, string>({
        size: 1,
        entry: new URL("./noSuchWorker.ts", import.meta.url),
        workerData: undefined,
        jobMillisMax: 5000
      })
      for (let i = 0; i < 2; i++) yield* Effect.flip(pool.run({}, { name: "any", millis: 0 }))
      assert.deepEqual([pool.running(), pool.queued()], [0, 0])
    }))

  it.live("ends its workers with its scope", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const pool = yield* Scope.provide(make(1), scope)
      const [running, waiting] = yield* Effect.forEach([1, 2], () =>
        Effect.forkChild(Effect.flip(pool.run({}, { name: "hung", millis: 60_000 })), { startImmediately: true }))
      yield* Scope.close(scope, Exit.void)
      for (const fiber of [running!, waiting!]) {
        assert.match((yield* Fiber.join(fiber)).reason, /shutting down/u)
      }
      yield* Effect.flip(pool.run({}, { name: "late", millis: 0 }))
      assert.deepEqual([pool.running(), pool.queued()], [0, 0])
    }))
})
