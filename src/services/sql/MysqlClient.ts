/**
 * A `SqlClient` for MariaDB, over mysql2.
 *
 * Nothing connects until the first statement. While the server is away each call fails within about 2 s with a
 * `ConnectionError`; once it is back, calls succeed again by themselves. An interrupted caller leaves at once; its
 * statement runs to its end or its time limit and only then gives the connection back.
 */
import { Context, Effect, Layer, Redacted, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, Statement } from "effect/sql"
import type { SqlConnection, SqlError } from "effect/sql"
import type { PoolConnection, QueryOptions } from "mysql2"
import { toSqlError } from "./MysqlError.ts"
import * as MysqlPool from "./MysqlPool.ts"

/** Connections a process. A statement takes about a ms, so ten carry thousands a second. */
const connectionsMax = 10

/** How long a statement may take, in ms. Migrations raise it for themselves. */
export const StatementLimitMillis = Context.Reference<number>("scaispeak/sql/StatementLimitMillis", {
  defaultValue: () => 5_000
})

type Send = (
  method: "query" | "execute",
  options: QueryOptions,
  params: ReadonlyArray<unknown>
) => Effect.Effect<unknown, SqlError.SqlError>

const rowsOf = (result: unknown): ReadonlyArray<any> => (Array.isArray(result) ? result : [])

const connection = (send: Send): SqlConnection.Connection => {
  const rows = (method: "query" | "execute"): SqlConnection.Connection["execute"] => (sql, params, transform) =>
    Effect.map(send(method, { sql }, params), (result) => transform ? transform(rowsOf(result)) : rowsOf(result))
  const values = (method: "query" | "execute"): SqlConnection.Connection["executeValues"] => (sql, params) =>
    Effect.map(send(method, { sql, rowsAsArray: true }, params), rowsOf)
  const execute = rows("execute")
  return {
    execute,
    executeUnprepared: rows("query"),
    executeRaw: (sql, params) => send("execute", { sql }, params),
    executeValues: values("execute"),
    executeValuesUnprepared: values("query"),
    // Results are pages and batches of a bounded size, so a stream is the whole answer.
    executeStream: (sql, params, transform) =>
      Stream.unwrap(Effect.map(execute(sql, params, transform), (all) => Stream.fromIterable(all)))
  }
}

/** A connection of its own, for a transaction or a named lock. */
interface Leased extends SqlConnection.Connection {
  readonly isOpen: () => boolean
}

const compiler = Statement.makeCompiler({
  dialect: "mysql",
  placeholder: () => "?",
  onIdentifier: Statement.defaultEscape("`"),
  onCustom: () => ["", []],
  onRecordUpdate: () => ["", []]
})

const make = Effect.fnUntraced(function*(url: Redacted.Redacted) {
  const pool = yield* Effect.acquireRelease(
    Effect.sync(() => MysqlPool.make(Redacted.value(url), connectionsMax)),
    (pool) => Effect.callback<void>((resume) => pool.close(() => resume(Effect.void)))
  )

  const sendPooled: Send = (method, options, params) =>
    Effect.flatMap(
      StatementLimitMillis,
      (limitMillis) =>
        Effect.callback((resume) =>
          pool.acquire((cause, connection) => {
            if (connection === undefined) return resume(Effect.fail(toSqlError(cause, "connect")))
            pool.send(
              connection,
              method,
              { ...options, values: params as Array<any> },
              limitMillis,
              (cause, result) => {
                pool.release(connection)
                resume(cause ? Effect.fail(toSqlError(cause, method)) : Effect.succeed(result))
              }
            )
          })
        )
    )

  const sendOn = (connection: PoolConnection): Send => (method, options, params) =>
    Effect.flatMap(
      StatementLimitMillis,
      (limitMillis) =>
        Effect.callback((resume) =>
          pool.send(connection, method, { ...options, values: params as Array<any> }, limitMillis, (cause, result) =>
            resume(cause ? Effect.fail(toSqlError(cause, method)) : Effect.succeed(result)))
        )
    )

  const lease = Effect.acquireRelease(
    Effect.callback<PoolConnection, SqlError.SqlError>((resume) => {
      let wanted = true
      pool.acquire((cause, connection) => {
        if (connection === undefined) resume(Effect.fail(toSqlError(cause, "connect")))
        else if (wanted) resume(Effect.succeed(connection))
        else pool.release(connection)
      })
      return Effect.sync(() => {
        wanted = false
      })
    }),
    (connection) => Effect.sync(() => pool.release(connection)),
    { interruptible: true }
  )

  const pooled = connection(sendPooled)
  return yield* SqlClient.make({
    driver: "mysql2",
    acquirer: Effect.succeed(pooled),
    borrower: (use) => use(pooled),
    transactionAcquirer: Effect.map(
      lease,
      (leased): Leased => ({ ...connection(sendOn(leased)), isOpen: () => pool.isOpen(leased) })
    ),
    // The server has already rolled back what a lost connection left open.
    isTransaction: (connection) => (connection as Leased).isOpen(),
    compiler,
    spanAttributes: [["db.system.name", "mariadb"]]
  })
})

export const layer = (url: Redacted.Redacted): Layer.Layer<SqlClient.SqlClient> =>
  Layer.effect(SqlClient.SqlClient, make(url)).pipe(Layer.provide(Reactivity.layer))
