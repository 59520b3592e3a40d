/** The first key of an install. */
import { describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { StorageUnavailable } from "../../src/domain/Failure.ts"
import { ApiKeys } from "../../src/services/ApiKeys.ts"
import * as BootstrapKey from "../../src/services/BootstrapKey.ts"

describe("BootstrapKey", () => {
  it.effect("is there in the end when the database is away at the start", () => {
    let tries = 0
    const away = Layer.mock(ApiKeys, {
      ensureBootstrap: () =>
        Effect.suspend(() =>
          ++tries < 50
            ? Effect.fail(new StorageUnavailable({ store: "database", cause: "away" }))
            : Effect.succeed("created" as const)
        )
    })
    return Effect.gen(function*() {
      const configured = Redacted.make("sgk_configured")
      const waiting = yield* Effect.forkChild(BootstrapKey.ensure({ configured, file: "/nowhere" }))
      for (let second = 0; second < 60; second += 2) yield* TestClock.adjust("2 seconds")
      assert.equal(waiting.pollUnsafe(), undefined)
      for (let second = 0; second < 60; second += 2) yield* TestClock.adjust("2 seconds")
      assert.equal(yield* Fiber.join(waiting), configured)
    }).pipe(Effect.provide(away))
  })
})
