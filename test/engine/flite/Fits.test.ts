import { describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import assert from "node:assert/strict"
import { EngineFailed } from "../../../src/engine/Engine.ts"
import * as Fits from "../../../src/engine/flite/Fits.ts"
import type { FitJob, FitMade } from "../../../src/engine/flite/Fitting.ts"

const job: FitJob = { clip: new Uint8Array(2) }
const made: FitMade = { refused: "no voice" }

describe("fits", () => {
  it.effect("makes a voice once, for calls that come together and for later ones", () =>
    Effect.gen(function*() {
      let begun = 0
      const gate = yield* Deferred.make<void>()
      const fits = yield* Fits.make(() =>
        Effect.andThen(Effect.sync(() => begun++), Effect.as(Deferred.await(gate), made))
      )
      const calls = [yield* fork(fits.get("a", job)), yield* fork(fits.get("a", job)), yield* fork(fits.get("b", job))]
      yield* Deferred.succeed(gate, undefined)
      for (const call of calls) assert.equal(yield* Fiber.join(call), made)
      assert.equal(yield* fits.get("a", job), made)
      assert.equal(begun, 2)
    }))

  it.effect("finishes a voice that nobody waits for any more", () =>
    Effect.gen(function*() {
      let begun = 0
      const gate = yield* Deferred.make<void>()
      const fits = yield* Fits.make(() =>
        Effect.andThen(Effect.sync(() => begun++), Effect.as(Deferred.await(gate), made))
      )
      yield* Fiber.interrupt(yield* fork(fits.get("a", job)))
      yield* Deferred.succeed(gate, undefined)
      assert.equal(yield* fits.get("a", job), made)
      assert.equal(begun, 1)
    }))

  it.effect("tries again what broke", () =>
    Effect.gen(function*() {
      let begun = 0
      const fits = yield* Fits.make(() =>
        Effect.suspend(
          () => (begun++ === 0 ? Effect.fail(new EngineFailed({ reason: "it broke" })) : Effect.succeed(made))
        )
      )
      assert.equal((yield* Effect.flip(fits.get("a", job))).reason, "it broke")
      assert.equal(yield* fits.get("a", job), made)
    }))

  it.effect("keeps the 256 that were asked for last", () =>
    Effect.gen(function*() {
      let begun = 0
      const fits = yield* Fits.make(() => Effect.sync(() => (begun++, made)))
      for (let i = 0; i < 256; i++) yield* fits.get(`${i}`, job)
      yield* fits.get("0", job)
      yield* fits.get("new", job)
      assert.equal(begun, 257)
      yield* fits.get("0", job)
      assert.equal(begun, 257)
      yield* fits.get("1", job)
      assert.equal(begun, 258)
    }))
})

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
