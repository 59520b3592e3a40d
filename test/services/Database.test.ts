import { describe, it, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { Database, orUnavailable } from "../../src/services/Database.ts"
import { StatementLimitMillis } from "../../src/services/sql/MysqlClient.ts"
import { startMariadb } from "../servers/Mariadb.ts"
import { sqlLayers } from "./sqlLayers.ts"

const query = (text: string) => SqlClient.SqlClient.use((sql) => orUnavailable(sql.unsafe(text)))
const health = Database.use((database) => database.health)

/** How long it takes, in ms. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const startedAt = performance.now()
    return Effect.map(effect, (value) => [value, performance.now() - startedAt] as const)
  })

for (const db of sqlLayers) {
  layer(db.layer)(`Database on ${db.name}`, (it) => {
    it.effect("is healthy", () => health)

    it.effect("keeps every character, and tells names apart by every byte", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const names = ["acme", "ACME", "acme ", "acmé", "acme\u0301", "🦜", "a\\'\"\0b", "' OR '1'='1"]
        yield* sql`DELETE FROM tenants`
        yield* sql`INSERT INTO tenants ${
          sql.insert(
            names.map((tenant_id) => ({
              tenant_id,
              partner_id: tenant_id,
              created_at: Date.UTC(2026, 10, 22)
            })) as never
          )
        }`
        for (const name of names) {
          const rows = yield* sql`SELECT tenant_id, partner_id, created_at FROM tenants WHERE tenant_id = ${name}`
          assert.deepEqual(rows.map((row) => ({ ...row })), [
            { tenant_id: name, partner_id: name, created_at: Date.UTC(2026, 10, 22) }
          ])
        }
      }))

    it.effect("undoes a transaction that failed, and the inner one alone when only that failed", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const put = (id: string) => sql`INSERT INTO tenants (tenant_id, created_at) VALUES (${id}, 0)`
        const inner = Effect.ignore(sql.withTransaction(Effect.andThen(put("inner"), Effect.fail("no"))))
        yield* sql.withTransaction(Effect.all([put("outer"), inner]))
        yield* Effect.ignore(sql.withTransaction(Effect.andThen(put("lost"), Effect.fail("no"))))
        const rows = yield* sql`SELECT tenant_id FROM tenants WHERE tenant_id IN ('outer', 'inner', 'lost')`
        assert.deepEqual(rows.map((row) => ({ ...row })), [{ tenant_id: "outer" }])
      }))

    it.effect("dies of a statement that is wrong, with its cause", () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(query("SELECT 1 FROM nowhere"))
        assert.ok(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        assert.match(Cause.pretty(exit.cause), /nowhere/u)
      }))

    it.effect("goes on after values that cannot be bound", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        for (let i = 0; i < 20; i++) yield* Effect.exit(sql`SELECT ${undefined}`)
        yield* health
      }))
  })
}

layer(sqlLayers[0]!.layer)("Database on MariaDB alone", (it) => {
  it.effect("refuses a value that does not fit rather than cut it", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* Effect.flip(sql`INSERT INTO tenants (tenant_id, created_at) VALUES (${"x".repeat(129)}, 0)`)
      assert.deepEqual(yield* sql`SELECT tenant_id FROM tenants`, [])
    }))
})

describe("Database without a server", () => {
  it.live("does not start, and names the database without its password", () =>
    Effect.gen(function*() {
      const url = Redacted.make("mysql://scaispeak:s3cret@127.0.0.1:9/speech")
      const failure = yield* Effect.flip(Effect.provide(health, Database.layer(url)))
      assert.equal(failure._tag, "DatabaseNotReady")
      assert.match(failure.message, /mysql:\/\/127\.0\.0\.1:9\/speech cannot be used: .*ECONNREFUSED/u)
      assert.doesNotMatch(failure.message, /s3cret/u)
    }))

  it.live("does not start on a file that is no database", () =>
    Effect.gen(function*() {
      const failure = yield* Effect.flip(
        Effect.provide(health, Database.layer(Redacted.make(`sqlite:${import.meta.filename}`)))
      )
      assert.match(failure.message, /not a database/u)
    }))
})

describe("Database whose MariaDB goes away", () => {
  const withServer = <A, E>(
    use: (
      server: Effect.Success<typeof acquire>
    ) => Effect.Effect<A, E, Database | SqlClient.SqlClient>
  ) =>
    Effect.gen(function*() {
      const server = yield* acquire
      return yield* Effect.provide(use(server), Database.layer(Redacted.make(server.url)))
    })
  const acquire = Effect.acquireRelease(
    Effect.promise(startMariadb),
    (server) => Effect.promise(() => server.stop())
  )
  /** Fills the pool, so that there are connections to be lost. */
  const warm = Effect.all(Array.from({ length: 10 }, () => query("SELECT SLEEP(0.02)")), { concurrency: 10 })

  it.live("fails fast while it is down, also inside a transaction, and recovers with the first call", () =>
    withServer((server) =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* warm
        const cut = yield* query("INSERT INTO tenants (tenant_id, created_at) VALUES ('cut', 0)").pipe(
          Effect.andThen(Effect.promise(() => server.kill())),
          Effect.andThen(query("SELECT 1")),
          sql.withTransaction,
          orUnavailable,
          Effect.flip
        )
        assert.equal(cut._tag, "StorageUnavailable")
        for (let i = 0; i < 12; i++) {
          const [failure, millis] = yield* timed(Effect.flip(query("SELECT 1")))
          assert.equal(failure._tag, "StorageUnavailable")
          assert.ok(millis < 1_500, `${millis} ms`)
        }
        assert.equal((yield* Effect.flip(health))._tag, "StorageUnavailable")
        yield* Effect.promise(() => server.start())
        yield* health
        assert.deepEqual(yield* query("SELECT tenant_id FROM tenants"), [])
        yield* warm
      })
    ))

  it.live("gives up on a server that is silent, and takes none of its old connections afterwards", () =>
    withServer((server) =>
      Effect.gen(function*() {
        const impatient = Effect.provideService(StatementLimitMillis, 200)
        yield* warm
        server.pause()
        const [failure, millis] = yield* timed(Effect.flip(impatient(query("SELECT 1"))))
        assert.equal(failure._tag, "StorageUnavailable")
        assert.ok(millis < 1_000, `${millis} ms`)
        const [unwell, waited] = yield* timed(Effect.flip(health))
        assert.equal(unwell._tag, "StorageUnavailable")
        assert.ok(waited < 1_900, `${waited} ms`)
        const [away, connecting] = yield* timed(Effect.flip(query("SELECT 1")))
        assert.equal(away._tag, "StorageUnavailable")
        assert.ok(connecting < 3_500, `${connecting} ms`)
        server.resume()
        yield* Effect.all(Array.from({ length: 20 }, () => query("SELECT 1")), { concurrency: 20 })
      })
    ))

  it.live("lets interrupted callers go at once, and keeps their connections", () =>
    withServer(() =>
      Effect.gen(function*() {
        const ids = Effect.map(query("SELECT id FROM information_schema.processlist WHERE db = 'test'"), (rows) =>
          rows.length)
        yield* warm
        const before = yield* ids
        const slow = yield* Effect.forEach(Array.from({ length: 10 }), () =>
          Effect.forkChild(query("SELECT SLEEP(0.5)")))
        yield* Effect.sleep("50 millis")
        const [, millis] = yield* timed(Fiber.interruptAll(slow))
        assert.ok(millis < 400, `${millis} ms`)
        yield* query("SELECT 1")
        assert.equal(yield* ids, before)
      })
    ))
})

describe("Database in one SQLite file", () => {
  it.live("waits for another writer without blocking the process", () =>
    Effect.gen(function*() {
      const url = yield* sqlLayers[1]!.freshUrl
      const insert = query("INSERT INTO tenants (tenant_id, created_at) VALUES ('b', 0)")
      const open = Layer.fresh(Database.layer(url))
      const holding = SqlClient.SqlClient.use((sql) => sql.withTransaction(Effect.sleep("100 millis")))
      yield* Effect.provide(health, open)
      const holder = yield* Effect.forkChild(Effect.provide(holding, open))
      yield* Effect.sleep("30 millis")
      const [, millis] = yield* timed(Effect.provide(insert, open))
      assert.ok(millis > 30 && millis < 1_000, `${millis} ms`)
      yield* Fiber.join(holder)
    }))
})
