/** Blobs and rows together or not at all, whatever fails, whoever leaves, and however slow somebody is; on both databases. */
import { layer } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { StorageUnavailable } from "../../src/domain/Failure.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { PendingBlobs } from "../../src/services/PendingBlobs.ts"
import { intake } from "../layers/intake.ts"
import { sqlLayers } from "./sqlLayers.ts"

const away = new StorageUnavailable({ store: "objects", cause: new Error("away") })

/** What happens to the put of a key, before or after it reaches the store. */
class Fate extends Context.Service<Fate, {
  before: (key: string) => Effect.Effect<void, StorageUnavailable>
  after: (key: string) => Effect.Effect<void, StorageUnavailable>
}>()("test/Fate") {
  static readonly layer = Layer.sync(Fate, () => ({ before: () => Effect.void, after: () => Effect.void }))
}

const fated = Layer.effect(
  ObjectStore,
  Effect.gen(function*() {
    const objects = yield* ObjectStore
    const fate = yield* Fate
    return ObjectStore.of({
      ...objects,
      put: (key, body, options) =>
        fate.before(key).pipe(
          Effect.andThen(objects.put(key, body, options)),
          Effect.tap(() => fate.after(key))
        )
    })
  })
)

const prefix = "scaispeak/voices/vox_1/"
const blobs = ["a", "b", "c"].map((name) => ({
  key: `${prefix}${name}`,
  contentType: "text/plain",
  body: Buffer.from(name)
}))

const keys = ObjectStore.use((objects) => Stream.runCollect(objects.list("scaispeak/voices/")))
const pendingStates = SqlClient.SqlClient.use((sql) =>
  Effect.map(sql<{ state: string }>`SELECT state FROM pending_blobs`, (rows) => rows.map(({ state }) => state))
)
const names = SqlClient.SqlClient.use((sql) => sql`SELECT name FROM named`)
const sweepIn = (hours: number) =>
  Effect.gen(function*() {
    yield* TestClock.adjust(`${hours} hours`)
    return yield* PendingBlobs.use(({ sweep }) => Effect.flatMap(Clock.currentTimeMillis, sweep))
  })

const fresh = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const fate = yield* Fate
  Object.assign(fate, { before: () => Effect.void, after: () => Effect.void })
  yield* sql`DELETE FROM pending_blobs`
  yield* sql`CREATE TABLE IF NOT EXISTS named (name VARCHAR(64) NOT NULL)`
  yield* sql`DELETE FROM named`
  yield* ObjectStore.use((objects) => objects.removeAll("scaispeak/voices/"))
  const pending = yield* PendingBlobs
  const store = pending.storing(prefix, blobs, sql`INSERT INTO named ${sql.insert({ name: "vox_1" })}`)
  return { sql, fate, pending, store }
})

for (const db of sqlLayers) {
  const Services = Layer.fresh(PendingBlobs.layer).pipe(
    Layer.provideMerge(fated),
    Layer.provideMerge(Fate.layer),
    Layer.provideMerge(intake),
    Layer.provideMerge(db.layer)
  )
  layer(Services)(`PendingBlobs on ${db.name}`, (it) => {
    it.effect("keeps what was committed, whatever is swept", () =>
      Effect.gen(function*() {
        const { store } = yield* fresh
        yield* store
        assert.deepEqual(yield* pendingStates, [])
        yield* sweepIn(3)
        assert.equal((yield* keys).length, 3)
        assert.equal((yield* names).length, 1)
      }))

    it.effect("leaves nothing when the commit fails", () =>
      Effect.gen(function*() {
        const { pending, sql } = yield* fresh
        const failing = Effect.andThen(
          sql`INSERT INTO named ${sql.insert({ name: "vox_1" })}`,
          Effect.fail("no" as const)
        )
        assert.equal(yield* Effect.flip(pending.storing(prefix, blobs, failing)), "no")
        assert.deepEqual([yield* keys, yield* pendingStates, yield* names], [[], [], []])
      }))

    for (const [i, { key }] of blobs.entries()) {
      for (const side of ["before", "after"] as const) {
        it.effect(`leaves nothing when the store goes away ${side} put ${i + 1}, and sweeps for what comes late`, () =>
          Effect.gen(function*() {
            const { fate, store } = yield* fresh
            fate[side] = (at) => at === key ? Effect.fail(away) : Effect.void
            assert.equal(yield* Effect.flip(store), away)
            assert.deepEqual([yield* keys, yield* names], [[], []])
            assert.deepEqual(yield* pendingStates, ["doomed"])
            // A put that was thought lost arrives after all.
            yield* ObjectStore.use((objects) => objects.put(`${key}-late`, blobs[0]!.body, blobs[0]!))
            yield* sweepIn(1)
            assert.deepEqual([yield* keys, yield* pendingStates], [[], []])
          }))
      }

      it.effect(`leaves nothing when its caller leaves during put ${i + 1}`, () =>
        Effect.gen(function*() {
          const { fate, store } = yield* fresh
          const reached = yield* Deferred.make<void>()
          fate.after = (at) =>
            at === key ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
          const fiber = yield* Effect.forkChild(store)
          yield* Deferred.await(reached)
          assert.equal((yield* keys).length, i + 1)
          yield* Fiber.interrupt(fiber)
          assert.deepEqual([yield* keys, yield* names], [[], []])
          yield* sweepIn(1)
          assert.deepEqual(yield* pendingStates, [])
        }))
    }

    it.effect("lets nobody commit to what another process has swept", () =>
      Effect.gen(function*() {
        const { fate, store } = yield* fresh
        const reached = yield* Deferred.make<void>()
        const go = yield* Deferred.make<void>()
        fate.before = (at) =>
          at === blobs[2]!.key ? Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(go)) : Effect.void
        const fiber = yield* Effect.forkChild(Effect.exit(store))
        yield* Deferred.await(reached)
        assert.equal(yield* sweepIn(0.9), 0, "it may still be at work")
        assert.equal((yield* keys).length, 2)
        assert.equal(yield* sweepIn(0.2), 1)
        assert.deepEqual(yield* keys, [])
        assert.deepEqual(yield* pendingStates, ["doomed"])
        yield* Deferred.succeed(go, undefined)
        const exit = yield* Fiber.join(fiber)
        assert.ok(Exit.isFailure(exit))
        assert.deepEqual(yield* names, [])
        yield* sweepIn(1)
        assert.deepEqual([yield* keys, yield* pendingStates], [[], []], "what it put meanwhile is gone, too")
      }))

    it.effect("clears what is discarded once that is committed, in bounded batches, and nothing beside it", () =>
      Effect.gen(function*() {
        const { pending, sql, store } = yield* fresh
        yield* store
        yield* ObjectStore.use((objects) => objects.put("scaispeak/voices/vox_12/a", blobs[0]!.body, blobs[0]!))
        const discard = Effect.forEach(Array.from({ length: 250 }), () => pending.discard(prefix, 0))
        yield* Effect.flip(sql.withTransaction(Effect.andThen(discard, Effect.fail("no"))))
        assert.equal(yield* sweepIn(0), 0)
        yield* sql.withTransaction(discard)
        const swept = yield* Effect.all([sweepIn(0), sweepIn(0)], { concurrency: 2 })
        assert.ok(swept[0]! + swept[1]! >= 250)
        assert.deepEqual((yield* keys).map(({ key }) => key), ["scaispeak/voices/vox_12/a"])
        assert.deepEqual(yield* pendingStates, [])
      }))
  })
}
