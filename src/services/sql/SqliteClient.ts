/**
 * A `SqlClient` over Node's built-in SQLite: one connection, statements one after the other.
 *
 * Another process that writes the same file is waited for without blocking the event loop, for at most 5 s. A statement
 * itself blocks it: this is the embedded database of one machine, not the one of a busy gateway.
 */
import { Effect, Layer, Semaphore, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, SqlError, Statement } from "effect/sql"
import type { SqlConnection } from "effect/sql"
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { SQLInputValue, StatementSync } from "node:sqlite"

const busyMillisMax = 5_000
const busyRetryMillis = 5
const preparedMax = 256

/** Result codes of a disk that does not serve: READONLY, IOERR, FULL, CANTOPEN. https://sqlite.org/rescode.html */
const away = [8, 10, 13, 14]

const toSqlError = (cause: unknown, operation: string): SqlError.SqlError => {
  const errno = (cause as { errcode?: number }).errcode
  const props = { cause, operation, message: `sqlite: ${operation} failed: ${(cause as Error).message}` }
  return new SqlError.SqlError({
    reason: errno !== undefined && away.includes(errno & 0xff)
      ? new SqlError.ConnectionError(props)
      : SqlError.classifySqliteError({ errno, message: (cause as Error).message, cause }, props)
  })
}

const bind = (value: unknown): SQLInputValue => typeof value === "boolean" ? (value ? 1 : 0) : (value as SQLInputValue)

/** Runs `use` again while another connection holds the write lock. */
const whenFree = <A>(use: () => A): Effect.Effect<A, SqlError.SqlError> =>
  Effect.callback((resume) => {
    const startedAt = performance.now()
    let timer: NodeJS.Timeout | undefined
    const attempt = () => {
      try {
        resume(Effect.succeed(use()))
      } catch (cause) {
        const error = toSqlError(cause, "execute")
        const busy = error.reason._tag === "LockTimeoutError" && performance.now() - startedAt < busyMillisMax
        if (busy) timer = setTimeout(attempt, busyRetryMillis)
        else resume(Effect.fail(error))
      }
    }
    attempt()
    return Effect.sync(() => clearTimeout(timer))
  })

interface SqliteConnection extends SqlConnection.Connection {
  readonly inTransaction: () => boolean
}

const connection = (db: DatabaseSync): SqliteConnection => {
  const prepared = new Map<string, StatementSync>()
  const prepare = (sql: string) => {
    const cached = prepared.get(sql)
    if (cached) return cached
    const statement = db.prepare(sql)
    if (prepared.size >= preparedMax) prepared.clear()
    prepared.set(sql, statement)
    return statement
  }
  const all = (sql: string, params: ReadonlyArray<unknown>, asArrays: boolean) =>
    whenFree((): ReadonlyArray<any> => {
      const statement = prepare(sql)
      statement.setReturnArrays(asArrays)
      return statement.all(...params.map(bind))
    })
  const execute: SqlConnection.Connection["execute"] = (sql, params, transform) =>
    transform ? Effect.map(all(sql, params, false), transform) : all(sql, params, false)
  const values: SqlConnection.Connection["executeValues"] = (sql, params) => all(sql, params, true)

  return {
    execute,
    executeUnprepared: execute,
    executeRaw: (sql, params) => whenFree(() => prepare(sql).run(...params.map(bind))),
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: (sql, params, transform) =>
      Stream.unwrap(Effect.map(execute(sql, params, transform), (rows) => Stream.fromIterable(rows))),
    inTransaction: () => db.isTransaction
  }
}

const make = Effect.fnUntraced(function*(filename: string) {
  const db = yield* Effect.acquireRelease(
    Effect.try({
      try: () => {
        mkdirSync(dirname(filename), { recursive: true })
        const db = new DatabaseSync(filename, { timeout: busyMillisMax })
        // NORMAL loses no consistency on a power cut, at most the last moments: https://sqlite.org/pragma.html#pragma_synchronous
        db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 0")
        return db
      },
      catch: (cause) => toSqlError(cause, "open")
    }),
    (db) => Effect.sync(() => db.close())
  )
  const shared = SqlClient.makeSqliteAcquirers({
    connection: Effect.succeed(connection(db)),
    semaphore: yield* Semaphore.make(1),
    isTransaction: (connection) => connection.inTransaction()
  })
  return yield* SqlClient.make({
    driver: "sqlite-node",
    ...shared,
    compiler: Statement.makeCompilerSqlite(),
    // The lock that writing needs is taken at once: a read that turns into a write could not wait for it.
    beginTransaction: "BEGIN IMMEDIATE",
    releaseSavepoint: (name) => `RELEASE SAVEPOINT ${name}`,
    prepareTransactionControls: true,
    spanAttributes: [["db.system.name", "sqlite"]]
  })
})

/** `filename`: a path, whose folders are made when missing, or `:memory:`. */
export const layer = (filename: string): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effect(SqlClient.SqlClient, make(filename)).pipe(Layer.provide(Reactivity.layer))
