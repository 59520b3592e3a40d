/**
 * A pool of MariaDB connections on which every wait has an end.
 *
 * mysql2 waits forever for a free connection and keeps a connection whose statement got no answer, so that later callers
 * queue behind it. Here a connection that stays silent is destroyed, and after that every idle connection that has not
 * been heard of since is replaced before use: one dead network path costs one caller its wait, not each of them.
 */
import mysql from "mysql2"
import type { PoolConnection, QueryOptions } from "mysql2"
import type { Socket } from "node:net"
import { PoolError } from "./MysqlError.ts"

/** A server on the same network answers in ms; one that needs longer is away. */
const connectMillisMax = 2_000
/** Longer than a connect, so that the connect's own error is the one that is told. */
const acquireMillisMax = 2_500
/** Callers that may wait for a connection; the next is refused at once rather than queued behind a second of work. */
const waitingMax = 1_000
const closeMillisMax = 1_000

/**
 * What the code relies on, whatever the server's own settings are. Strict mode: a value that does not fit is an error and
 * is never cut. Read committed: no gap locks, so that upserts of neighbouring rows do not deadlock.
 */
const sessionSettings = [
  "SET SESSION sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'",
  "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
]

type Done<A> = (cause: unknown, result?: A) => void

export interface MysqlPool {
  /** Calls back within {@link acquireMillisMax}. */
  readonly acquire: (done: Done<PoolConnection>) => void
  readonly release: (connection: PoolConnection) => void
  /** Calls back within `limitMillis`; a connection that did not answer by then is destroyed. */
  readonly send: (
    connection: PoolConnection,
    method: "query" | "execute",
    options: QueryOptions,
    limitMillis: number,
    done: Done<unknown>
  ) => void
  /** Whether the connection can still carry a statement. */
  readonly isOpen: (connection: PoolConnection) => boolean
  readonly close: (done: () => void) => void
}

export const make = (url: string, connectionLimit: number): MysqlPool => {
  const pool = mysql.createPool({
    uri: url,
    connectionLimit,
    connectTimeout: connectMillisMax,
    queueLimit: waitingMax,
    supportBigNumbers: true,
    dateStrings: true,
    timezone: "Z"
  })
  /** Open connections, and when each one last answered (`performance.now()`). */
  const heardAt = new Map<PoolConnection, number>()
  let silenceAt = -Infinity

  const destroy = (connection: PoolConnection): void => {
    heardAt.delete(connection)
    connection.destroy() // mysql2 only half-closes, which a peer that is gone never answers.
    ;(connection as unknown as { readonly stream: Socket }).stream.destroy()
  }

  pool.on("connection", (connection) => {
    heardAt.set(connection, performance.now())
    connection.on("error", () => heardAt.delete(connection))
    connection.on("end", () => heardAt.delete(connection))
    for (const sql of sessionSettings) connection.query(sql, (cause) => cause && destroy(connection))
  })

  const acquire: MysqlPool["acquire"] = (done) => {
    let waiting = true
    const settle: Done<PoolConnection> = (cause, connection) => {
      waiting = false
      clearTimeout(timer)
      done(cause, connection)
    }
    const timer = setTimeout(() => settle(new PoolError("no free connection in time")), acquireMillisMax)
    const take = () =>
      pool.getConnection((cause, connection) => {
        if (!waiting) return cause ? undefined : connection.release()
        if (cause) return settle(Object.assign(cause, { fatal: true }))
        if ((heardAt.get(connection) ?? -Infinity) > silenceAt) return settle(null, connection)
        destroy(connection)
        take()
      })
    take()
  }

  const send: MysqlPool["send"] = (connection, method, options, limitMillis, done) => {
    let open = true
    const settle: Done<unknown> = (cause, result) => {
      if (!open) return
      open = false
      clearTimeout(timer)
      done(cause, result)
    }
    const timer = setTimeout(() => {
      silenceAt = performance.now()
      destroy(connection)
      settle(new PoolError(`no answer in ${limitMillis} ms`))
    }, limitMillis)
    try {
      connection[method](options, (cause: mysql.QueryError | null, result: unknown) => {
        if (cause?.fatal) heardAt.delete(connection)
        else if (heardAt.has(connection)) heardAt.set(connection, performance.now())
        settle(cause, result)
      })
    } catch (cause) {
      // Values that cannot be bound, such as `undefined`.
      settle(cause)
    }
  }

  const close = (done: () => void): void => {
    const timer = setTimeout(() => {
      for (const connection of heardAt.keys()) destroy(connection)
      done()
    }, closeMillisMax)
    pool.end(() => {
      clearTimeout(timer)
      done()
    })
  }

  return {
    acquire,
    release: (connection) => connection.release(),
    send,
    isOpen: (connection) => heardAt.has(connection),
    close
  }
}
