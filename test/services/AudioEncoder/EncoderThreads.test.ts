import { describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber } from "effect"
import assert from "node:assert/strict"
import { Worker } from "node:worker_threads"
import { EncoderThreads, spawnThread } from "../../../src/services/AudioEncoder/EncoderThreads.ts"

const mp3 = { format: "mp3", sourceRate: 24000, targetRate: 24000 } as const

/** A pool, and the threads that it started so far. */
const pool = (workers: number, spawn = spawnThread) => {
  const started: Array<Worker> = []
  const spawned = () => {
    const thread = spawn()
    started.push(thread)
    return thread
  }
  return { started, layer: EncoderThreads.layer({ workers, spawn: spawned }) }
}

const defect = <A, E>(exit: Exit.Exit<A, E>): string => {
  assert.ok(Exit.isFailure(exit))
  const error = Cause.squash(exit.cause)
  assert.ok(error instanceof Error)
  return `${error.message}: ${error.cause}`
}

const speech = (seconds: number) => new Uint8Array(48_000 * seconds)

describe("EncoderThreads", () => {
  it.effect("loses only the encodings of a thread that dies, and starts another", () => {
    const { layer, started } = pool(2)
    return Effect.gen(function*() {
      const threads = yield* EncoderThreads
      const waiting = yield* threads.open(mp3)
      const spared = yield* threads.open(mp3)
      const idle = yield* threads.open(mp3)
      assert.ok((yield* waiting.push(speech(1))).length > 0)
      assert.ok((yield* spared.push(speech(1))).length > 0)
      assert.deepEqual(yield* threads.held, [2, 1])

      const answer = yield* Effect.forkChild(Effect.exit(waiting.push(speech(100))), { startImmediately: true })
      const [first] = started
      yield* Effect.promise(() => first?.terminate() ?? Promise.reject(new Error("no thread")))
      assert.match(defect(yield* Fiber.join(answer)), /audio encoder thread stopped/)
      assert.match(defect(yield* Effect.exit(idle.push(speech(1)))), /audio encoder thread stopped/)

      assert.ok((yield* spared.end).length > 0)
      assert.equal(started.length, 3)
      assert.deepEqual(yield* threads.held, [0, 0])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("encodes on a thread that took a dead one's place", () => {
    const { layer, started } = pool(1)
    return Effect.gen(function*() {
      const threads = yield* EncoderThreads
      yield* threads.held
      yield* Effect.promise(() => Promise.all(started.map((thread) => thread.terminate())))
      const encoding = yield* threads.open(mp3)
      assert.ok((yield* encoding.push(speech(1))).length > 0)
      assert.equal(started.length, 2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("tries a thread that cannot start again only when there is work", () => {
    const { layer, started } = pool(1, () => new Worker("throw new Error('no codec')", { eval: true }))
    return Effect.gen(function*() {
      const threads = yield* EncoderThreads
      assert.deepEqual(yield* threads.held, [0])
      assert.equal(started.length, 1)
      const encoding = yield* threads.open(mp3)
      assert.match(defect(yield* Effect.exit(encoding.push(speech(1)))), /no codec/)
      assert.equal(started.length, 2)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("answers an encoding that cannot be with a defect, and serves the others", () => {
    const { layer, started } = pool(1)
    return Effect.gen(function*() {
      const threads = yield* EncoderThreads
      const other = yield* threads.open(mp3)
      const impossible = yield* threads.open({ format: "opus", sourceRate: 22050, targetRate: 44100 })
      assert.match(defect(yield* Effect.exit(impossible.push(speech(1)))), /Opus does not code 44100 Hz/)
      assert.ok((yield* other.push(speech(1))).length > 0)
      assert.deepEqual([yield* threads.held, started.length], [[1], 1])
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("has no more than one batch of patient encodings before one that somebody listens to, in a thread", () => {
    const { layer } = pool(1)
    return Effect.gen(function*() {
      const threads = yield* EncoderThreads
      let made = 0
      const heard = yield* threads.open(mp3)
      // It speaks already: the first pieces of the others are no more urgent than its own.
      yield* heard.push(speech(0.1))
      for (let i = 0; i < 6; i++) {
        const patient = yield* threads.open({ ...mp3, patient: true })
        const push = Effect.suspend(() => patient.push(speech(1)))
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(push, Effect.sync(() => made++))))
      }
      for (let i = 0; i < 20; i++) {
        const before = made
        yield* heard.push(speech(0.1))
        // One that the thread has, and one whose answer may come together with ours.
        assert.ok(made - before <= 2, `${made - before} went before`)
      }
      assert.ok(made > 0, "they are not starved either")
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("lets others have their turn within a long batch", () => {
    const { layer } = pool(1)
    return Effect.gen(function*() {
      const threads = yield* EncoderThreads
      const heard = yield* threads.open(mp3)
      yield* heard.push(speech(0.1))
      const patient = yield* threads.open({ ...mp3, patient: true })
      const whole = yield* Effect.forkScoped(patient.push(speech(60)))
      for (let i = 0; i < 10; i++) yield* heard.push(speech(0.1))
      assert.equal(whole.pollUnsafe(), undefined)
      assert.ok((yield* Fiber.join(whole)).length > 0)
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

  it.effect("stops its threads with its scope", () => {
    const { layer, started } = pool(2)
    return Effect.gen(function*() {
      yield* Effect.provide(EncoderThreads.use((threads) => threads.held), layer)
      assert.deepEqual(started.map((thread) => thread.threadId), [-1, -1])
    })
  })
})
