import { it } from "@effect/vitest"
import { Duration, Effect, Layer, Ref } from "effect"
import * as Redacted from "effect/Redacted"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { StorageUnavailable } from "../../src/domain/Failure.ts"
import * as Housekeeping from "../../src/jobs/Housekeeping.ts"
import { Database } from "../../src/services/Database.ts"
import { Idempotency } from "../../src/services/Idempotency.ts"
import { JobExpiry } from "../../src/services/JobExpiry.ts"
import { PendingBlobs } from "../../src/services/PendingBlobs.ts"
import { Recordings } from "../../src/services/Recordings.ts"

it.effect("housekeeping sweeps at the start and every hour, and survives a store that is away", () =>
  Effect.gen(function*() {
    const sweeps = yield* Ref.make<ReadonlyArray<number>>([])
    const idempotency = Layer.mock(Idempotency, {
      sweep: (now) =>
        Effect.flatMap(
          Ref.updateAndGet(sweeps, (all) => [...all, now]),
          (all) =>
            all.length === 2
              ? Effect.fail(new StorageUnavailable({ store: "objects", cause: "away" }))
              : Effect.succeed(0)
        )
    })
    const cleared = yield* Ref.make<ReadonlyArray<number>>([])
    const pending = Layer.mock(PendingBlobs, {
      sweep: (now) => Effect.as(Ref.update(cleared, (all) => [...all, now]), 0)
    })
    const expired = yield* Ref.make<ReadonlyArray<number>>([])
    const recordings = Layer.mock(Recordings, {
      sweep: (now) => Effect.as(Ref.update(expired, (all) => [...all, now]), 0)
    })
    const retired = yield* Ref.make<ReadonlyArray<number>>([])
    const jobs = Layer.mock(JobExpiry, {
      sweep: () => Effect.succeed(0),
      retire: (before) => Effect.as(Ref.update(retired, (all) => [...all, before]), 0)
    })
    yield* Layer.build(
      Housekeeping.layer({ retentionMs: 7 }).pipe(
        Layer.provide([idempotency, pending, recordings, jobs]),
        Layer.provide(Database.layer(Redacted.make("sqlite::memory:")))
      )
    )
    const hour = Duration.toMillis("1 hour")
    for (let i = 0; i < 3; i++) yield* TestClock.adjust("1 hour")
    assert.deepEqual(yield* Ref.get(sweeps), [0, hour, 2 * hour, 3 * hour])
    assert.deepEqual(yield* Ref.get(retired), [-7, 2 * hour - 7, 3 * hour - 7])
    assert.deepEqual(yield* Ref.get(cleared), [0, 2 * hour, 3 * hour])
    assert.deepEqual(yield* Ref.get(expired), [0, 2 * hour, 3 * hour])
  }))
