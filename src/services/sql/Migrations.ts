/**
 * Runs migrations in order, one process at a time, and records each only after it succeeded.
 *
 * MariaDB commits at every DDL statement, so a migration that fails half-way leaves its first tables behind: each one is
 * written so that it can run again. In SQLite a whole run is one transaction.
 */
import { Clock, Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql"
import { tableOptions } from "./Dialect.ts"
import { StatementLimitMillis } from "./MysqlClient.ts"

export interface Migration {
  /** Sorts by number; recorded, so never renamed. */
  readonly name: string
  /** Can run again after it failed half-way. */
  readonly up: Effect.Effect<unknown, SqlError.SqlError, SqlClient.SqlClient>
}

export class MigrationsLocked extends Schema.TaggedError<MigrationsLocked>()("MigrationsLocked", {}) {
  override readonly message = "Another process is still migrating this database."
}

const lockSecondsMax = 60
/** A change of a large table takes its time. */
const migrationMillisMax = 3_600_000

/** Runs `effect` while no other process does the same to this database. */
export const exclusively = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    return yield* sql.onDialectOrElse({
      mysql: () =>
        Effect.gen(function*() {
          // A named lock belongs to a connection, so one is held aside for it; the name counts for the whole server.
          const connection = yield* sql.reserve
          const name = "CONCAT('scaispeak:', MD5(DATABASE()))"
          const [[granted] = []] = yield* connection.executeValues(`SELECT GET_LOCK(${name}, ${lockSecondsMax})`, [])
          if (Number(granted) !== 1) return yield* new MigrationsLocked()
          yield* Effect.addFinalizer(() => Effect.ignore(connection.executeValues(`SELECT RELEASE_LOCK(${name})`, [])))
          return yield* effect
        }).pipe(Effect.scoped),
      orElse: () => sql.withTransaction(effect)
    })
  }).pipe(Effect.provideService(StatementLimitMillis, migrationMillisMax))

/** Applies what is pending and returns its names. */
export const run = Effect.fnUntraced(function*(migrations: ReadonlyArray<Migration>) {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE TABLE IF NOT EXISTS migrations (
    name VARCHAR(255) NOT NULL PRIMARY KEY,
    finished_at BIGINT NOT NULL
  ) ${tableOptions(sql)}`
  const rows = yield* sql<{ readonly name: string }>`SELECT name FROM migrations`
  const finished = new Set(rows.map((row) => row.name))
  const pending = migrations.filter(({ name }) => !finished.has(name))
  for (const { name, up } of pending) {
    const finish = Effect.flatMap(
      Clock.currentTimeMillis,
      (now) => sql`INSERT INTO migrations ${sql.insert({ name, finished_at: now })}`
    )
    yield* sql.withTransaction(Effect.andThen(up, finish))
  }
  return pending.map(({ name }) => name)
}, exclusively)
