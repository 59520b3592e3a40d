/** One suite for both pairs of stores that are in use: SQLite and a folder, MariaDB and S3. */
import { it, layer } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Layer, Redacted, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { Database } from "../../src/services/Database.ts"
import { Idempotency, type IdempotentRequest, type Reply } from "../../src/services/Idempotency.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import * as Filesystem from "../../src/services/ObjectStore/Filesystem.ts"
import * as S3 from "../../src/services/ObjectStore/S3.ts"
import { mariadbUrl, s3Options } from "../servers/inject.ts"

const embedded = Layer.unwrap(Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-idempotency-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  )
  return Layer.mergeAll(
    Database.layer(Redacted.make(`sqlite:${join(folder, "test.sqlite")}`)),
    Filesystem.layer({ folder: join(folder, "objects") })
  )
}))

const served = Layer.unwrap(Effect.gen(function*() {
  const [url, s3] = yield* Effect.promise(() => Promise.all([mariadbUrl(), s3Options()]))
  return Layer.mergeAll(
    Database.layer(Redacted.make(url)),
    S3.layer({
      ...s3,
      accessKeyId: Redacted.make(s3.accessKeyId),
      secretAccessKey: Redacted.make(s3.secretAccessKey)
    })
  )
}))

let keys = 0
const fresh = (changes: Partial<IdempotentRequest> = {}): IdempotentRequest => ({
  tenantId: TenantId.make("tenant"),
  userId: UserId.make("user"),
  route: "POST /speak",
  key: `key-${keys++}`,
  bodySha256: "a".repeat(64),
  ...changes
})

const replyOf = (text: string): Reply => ({
  status: 200,
  headers: { "content-type": "audio/mpeg", "x-scaispeak-voice-id": "vox_é" },
  body: new TextEncoder().encode(text)
})

/** Begins, and keeps the claim until the test's own scope closes. */
const begin = (request: IdempotentRequest) => Idempotency.use((idempotency) => idempotency.begin(request))

/** Begins and answers, or is answered. */
const once = (request: IdempotentRequest, text: string) =>
  Effect.scoped(Effect.gen(function*() {
    const begun = yield* begin(request)
    if (begun._tag === "Replay") return `again: ${Buffer.from(begun.reply.body)}`
    yield* begun.save(replyOf(text), null)
    return text
  }))

const conflict = (request: IdempotentRequest) =>
  Effect.map(Effect.flip(Effect.scoped(begin(request))), (failure) => {
    assert.equal(failure._tag, "IdempotencyConflict")
    return failure._tag === "IdempotencyConflict" ? failure.reason : undefined
  })

/** Waits, in real time, until the claim holds for a minute from now. */
const renewed = Effect.fnUntraced(function*({ key }: IdempotentRequest) {
  const sql = yield* SqlClient.SqlClient
  const until = (yield* Clock.currentTimeMillis) + 60_000
  for (;;) {
    const [row] = yield* sql<{ readonly locked_until: number }>`
      SELECT locked_until FROM idempotency_keys WHERE idem_key = ${key}`
    if (row?.locked_until === until) return
    yield* Effect.promise(() => setTimeout(5))
  }
})

const bodies = ObjectStore.use((objects) => Stream.runCount(objects.list("scaispeak/idempotency/")))

for (const [name, stores] of Object.entries({ "SQLite and a folder": embedded, "MariaDB and S3": served })) {
  layer(Idempotency.layer.pipe(Layer.provideMerge(stores)))(`Idempotency: ${name}`, (it) => {
    it.effect("gives the first reply again, whole", () =>
      Effect.gen(function*() {
        const request = fresh()
        assert.equal(yield* once(request, "one"), "one")
        const begun = yield* begin(request)
        assert.ok(begun._tag === "Replay")
        assert.deepEqual({ ...begun.reply, body: new Uint8Array(begun.reply.body) }, replyOf("one"))
        assert.equal(yield* once(request, "two"), "again: one")
      }))

    it.effect("keeps replies of any size", () =>
      Effect.gen(function*() {
        for (const size of [0, 1, 3_000_000]) {
          const request = fresh()
          assert.equal((yield* once(request, "x".repeat(size))).length, size)
          assert.equal((yield* once(request, "")).length, "again: ".length + size)
        }
      }))

    it.effect("tells keys apart by tenant, user, route and every letter", () =>
      Effect.gen(function*() {
        const request = fresh({ key: "Key" })
        yield* once(request, "one")
        const others: ReadonlyArray<Partial<IdempotentRequest>> = [
          { tenantId: TenantId.make("other") },
          { tenantId: TenantId.make("Tenant") },
          { userId: UserId.make("other") },
          { route: "POST /voices" },
          { key: "key" },
          { key: "Key " }
        ]
        for (const other of others) assert.equal(yield* once({ ...request, ...other }, "two"), "two")
      }))

    it.effect("refuses another body, while the first runs and after", () =>
      Effect.gen(function*() {
        const request = fresh()
        const other = { ...request, bodySha256: "b".repeat(64) }
        yield* Effect.scoped(Effect.gen(function*() {
          const begun = yield* begin(request)
          assert.equal(yield* conflict(other), "other body")
          assert.equal(yield* conflict(request), "in progress")
          assert.ok(begun._tag === "Fresh")
          yield* begun.save(replyOf("one"), null)
          assert.equal(yield* conflict(other), "other body")
        }))
        assert.equal(yield* conflict(other), "other body")
        assert.equal(yield* once(request, "two"), "again: one")
      }))

    it.effect("lets exactly one of many run", () =>
      Effect.gen(function*() {
        for (let round = 0; round < 5; round++) {
          const request = fresh()
          const exits = yield* Effect.all(Array.from({ length: 20 }, () => Effect.exit(begin(request))), {
            concurrency: "unbounded"
          })
          const begun = exits.filter(Exit.isSuccess)
          assert.deepEqual(begun.map(({ value }) => value._tag), ["Fresh"])
          const reasons = exits.filter(Exit.isFailure).map((exit) => Exit.findErrorOption(exit))
          for (const reason of reasons) {
            assert.ok(reason._tag === "Some" && reason.value._tag === "IdempotencyConflict", String(reason))
          }
        }
      }))

    it.effect("lets another try at once when the work fails, is interrupted, or its reply cannot be kept", () =>
      Effect.gen(function*() {
        const request = fresh()
        const before = yield* bodies
        yield* Effect.exit(Effect.scoped(Effect.andThen(begin(request), Effect.fail("broken"))))
        const running = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Effect.scoped(
            begin(request).pipe(Effect.andThen(Deferred.succeed(running, undefined)), Effect.andThen(Effect.never))
          )
        )
        yield* Deferred.await(running)
        assert.equal(yield* conflict(request), "in progress")
        yield* Fiber.interrupt(fiber)
        assert.equal(yield* once(request, "two"), "two")
        assert.equal(yield* bodies, before + 1)
      }))

    it.effect("leaves no claim behind, whenever it is interrupted", () =>
      Effect.gen(function*() {
        const request = fresh()
        for (let turns = 0; turns < 40; turns++) {
          const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(begin(request), Effect.never)))
          for (let i = 0; i < turns % 10; i++) yield* Effect.yieldNow
          if (turns >= 10) yield* Effect.promise(() => setTimeout(turns % 4))
          yield* Fiber.interrupt(fiber)
          yield* Effect.scoped(Effect.map(begin(request), (begun) => assert.equal(begun._tag, "Fresh")))
        }
      }))

    it.effect("survives many that begin and give up", () =>
      Effect.gen(function*() {
        const request = fresh()
        const exits = yield* Effect.forEach(
          Array.from({ length: 60 }),
          () => Effect.exit(Effect.scoped(Effect.andThen(begin(request), Effect.yieldNow))),
          { concurrency: 12 }
        )
        for (const exit of exits) {
          const failure = Exit.findErrorOption(exit)
          assert.ok(failure._tag === "None" || failure.value._tag === "IdempotencyConflict", String(exit))
        }
        assert.ok(exits.some(Exit.isSuccess))
        assert.equal(yield* once(request, "one"), "one")
      }))

    it.effect("renews the claim of work that takes long", () =>
      Effect.gen(function*() {
        const request = fresh()
        yield* Effect.scoped(Effect.gen(function*() {
          const begun = yield* begin(request)
          for (let i = 0; i < 12; i++) {
            yield* TestClock.adjust("20 seconds")
            yield* renewed(request)
            assert.equal(yield* conflict(request), "in progress")
          }
          assert.ok(begun._tag === "Fresh")
          yield* begun.save(replyOf("one"), null)
        }))
        assert.equal(yield* once(request, "two"), "again: one")
      }))

    it.effect("frees the key of a process that died a minute later, whatever it then does", () =>
      Effect.gen(function*() {
        const request = fresh()
        const sql = yield* SqlClient.SqlClient
        const before = yield* bodies
        const dead = yield* begin(request)
        // Nobody renews: the row is as a dead process leaves it.
        const now = yield* Clock.currentTimeMillis
        yield* sql`UPDATE idempotency_keys SET locked_until = ${now + 60_000} WHERE idem_key = ${request.key}`
        yield* TestClock.adjust("19 seconds")
        assert.equal(yield* conflict(request), "in progress")
        yield* sql`UPDATE idempotency_keys SET locked_until = ${now + 19_000} WHERE idem_key = ${request.key}`

        const other = { ...request, bodySha256: "b".repeat(64) }
        const exits = yield* Effect.all(Array.from({ length: 20 }, () => Effect.exit(begin(other))), {
          concurrency: "unbounded"
        })
        const [heir, ...more] = exits.filter(Exit.isSuccess)
        assert.deepEqual(more, [])
        assert.ok(dead._tag === "Fresh" && heir?.value._tag === "Fresh")
        // Risen, the dead claim can neither answer nor withdraw.
        yield* dead.save(replyOf("too late"), null)
        assert.equal(yield* bodies, before)
        assert.equal(yield* conflict(other), "in progress")
        yield* heir.value.save(replyOf("heir"), null)
        assert.equal(yield* once(other, "two"), "again: heir")
        assert.equal(yield* bodies, before + 1)
      }))

    it.effect("keeps a reply for a day, and not longer", () =>
      Effect.gen(function*() {
        const request = fresh()
        yield* once(request, "one")
        yield* TestClock.adjust("86399 seconds")
        assert.equal(yield* once(request, "two"), "again: one")
        yield* TestClock.adjust("1 second")
        assert.equal(yield* once(request, "two"), "two")
        assert.equal(yield* once(request, "three"), "again: two")
      }))

    it.effect("runs anew when the body of a reply is lost", () =>
      Effect.gen(function*() {
        const request = fresh()
        yield* once(request, "one")
        yield* ObjectStore.use((objects) => objects.removeAll("scaispeak/idempotency/"))
        assert.equal(yield* once(request, "two"), "two")
        assert.equal(yield* once(request, "three"), "again: two")
      }))

    it.effect("sweeps what has run out, rows and bodies, and nothing that runs", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const idempotency = yield* Idempotency
        const day = 86_400_000
        yield* idempotency.sweep(day * 1_000)
        assert.equal(yield* bodies, 0)
        yield* TestClock.adjust("1 hour")
        const before = yield* Clock.currentTimeMillis
        yield* Effect.forEach(Array.from({ length: 230 }, () => fresh()), (request) => once(request, "old"), {
          concurrency: 10
        })
        yield* TestClock.adjust("1 minute")
        const young = fresh()
        yield* once(young, "young")
        assert.equal(yield* idempotency.sweep(before + day - 1), 0)
        const [first, second] = yield* Effect.all([idempotency.sweep(before + day), idempotency.sweep(before + day)], {
          concurrency: 2
        })
        assert.ok(first + second >= 230)
        assert.equal(yield* bodies, 1)
        assert.equal((yield* sql`SELECT 1 FROM idempotency_keys`).length, 1)
        assert.equal(yield* once(young, "again"), "again: young")

        const running = fresh()
        yield* begin(running)
        yield* sql`UPDATE idempotency_keys SET expires_at = 0 WHERE idem_key = ${running.key}`
        assert.equal(yield* idempotency.sweep(yield* Clock.currentTimeMillis), 0)
        assert.equal(yield* conflict(running), "in progress")
      }))
  })
}

it.effect("is away when the objects are, and gives the key back", () =>
  Effect.gen(function*() {
    const path = yield* Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-idempotency-")))
    yield* Effect.addFinalizer(() => Effect.promise(() => rm(path, { recursive: true, force: true })))
    yield* Effect.promise(() => writeFile(join(path, "file"), ""))
    const database = yield* Layer.build(Database.layer(Redacted.make(`sqlite:${join(path, "test.sqlite")}`)))
    const onFolder = (folder: string) =>
      Layer.fresh(Idempotency.layer).pipe(
        Layer.provide(Filesystem.layer({ folder: join(path, folder) })),
        Layer.provide(Layer.succeedContext(database))
      )
    const request = fresh()
    const failure = yield* Effect.flip(Effect.provide(once(request, "one"), onFolder("file/below")))
    assert.equal(failure._tag, "StorageUnavailable")
    assert.equal(yield* Effect.provide(once(request, "two"), onFolder("objects")), "two")
  }))
