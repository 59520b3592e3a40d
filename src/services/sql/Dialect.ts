/**
 * The few places where MariaDB's and SQLite's SQL part ways.
 *
 * Times are `BIGINT` epoch ms everywhere: exact, compared as numbers, and free of the session time zones and driver
 * conversions that make `DATETIME(3)` mean different things in the two. Days that tables are partitioned by are `DATE`,
 * read and written as `YYYY-MM-DD`.
 */
import { Effect } from "effect"
import type { SqlClient, SqlError, Statement } from "effect/sql"

/**
 * What every table ends with. Binary comparison without padding, as in SQLite: tenants `acme`, `ACME` and `acme␠` are
 * three tenants, which MariaDB's other collations take for two or one.
 */
export const tableOptions = (sql: SqlClient.SqlClient): Statement.Fragment =>
  sql.onDialectOrElse({
    mysql: () => sql.literal("ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"),
    orElse: () => sql.literal("")
  })

/** After an `INSERT`: a row whose key exists stays as it is. `column` is any column of the table. */
export const keepExisting = (sql: SqlClient.SqlClient, column: string): Statement.Fragment =>
  sql.onDialectOrElse({
    // Unlike INSERT IGNORE, which would also let values through that do not fit.
    mysql: () => sql.literal(`ON DUPLICATE KEY UPDATE ${column} = ${column}`),
    orElse: () => sql.literal("ON CONFLICT DO NOTHING")
  })

/** After an `INSERT`: a row whose `keys` exist takes the new values of `columns`. */
export const overwrite = (
  sql: SqlClient.SqlClient,
  keys: ReadonlyArray<string>,
  columns: ReadonlyArray<string>
): Statement.Fragment =>
  sql.onDialectOrElse({
    mysql: () => sql.literal(`ON DUPLICATE KEY UPDATE ${columns.map((c) => `${c} = VALUES(${c})`).join(", ")}`),
    orElse: () =>
      sql.literal(
        `ON CONFLICT (${keys.join(", ")}) DO UPDATE SET ${columns.map((c) => `${c} = excluded.${c}`).join(", ")}`
      )
  })

/** After a `SELECT` in a transaction: its rows stay as they are until it ends. SQLite's transactions write alone anyway. */
export const locked = (sql: SqlClient.SqlClient): Statement.Fragment =>
  sql.onDialectOrElse({ mysql: () => sql.literal("FOR UPDATE"), orElse: () => sql.literal("") })

/** Rows that an `UPDATE` or `DELETE` found, whether or not their values changed. */
export const affected = (statement: Statement.Statement<unknown>): Effect.Effect<number, SqlError.SqlError> =>
  Effect.map(statement.raw, (result) => {
    const { affectedRows, changes } = result as { affectedRows?: number; changes?: number | bigint }
    return Number(affectedRows ?? changes)
  })
