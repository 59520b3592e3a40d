/** Gives MariaDB's and the driver's error numbers the reasons that `effect/sql` knows. */
import { SqlError } from "effect/sql"

interface ReasonProps {
  readonly cause: unknown
  readonly message: string
  readonly operation: string
}

type Reason = new(props: ReasonProps) => SqlError.SqlErrorReason

/** Error numbers of MariaDB: https://mariadb.com/kb/en/mariadb-error-code-reference/ */
const reasons: ReadonlyArray<readonly [ReadonlyArray<number>, Reason]> = [
  // Too many connections, handshake, shutdown, killed, and a server that has become read-only in a failover.
  [[1040, 1042, 1043, 1053, 1129, 1130, 1203, 1226, 1290, 1792, 1836, 1927], SqlError.ConnectionError],
  [[1045, 1698], SqlError.AuthenticationError],
  [[1044, 1142, 1143, 1227], SqlError.AuthorizationError],
  [[1054, 1064, 1146], SqlError.SqlSyntaxError],
  [[1022, 1048, 1169, 1216, 1217, 1451, 1452, 1557, 4025], SqlError.ConstraintError],
  [[1205], SqlError.LockTimeoutError],
  [[1213], SqlError.DeadlockError],
  [[1317, 1969, 3024], SqlError.StatementTimeoutError]
]

/** Raised by the pool itself, without an error number: nobody answered in time, or too many callers wait already. */
export class PoolError extends Error {
  readonly fatal = true
}

export const toSqlError = (cause: unknown, operation: string): SqlError.SqlError => {
  const { errno, fatal, message } = cause as { errno?: number; fatal?: boolean; message?: string }
  const props = { cause, operation, message: `mariadb: ${operation} failed: ${message ?? String(cause)}` }
  if (errno === 1062) {
    const constraint = /for key '([^']+)'/u.exec(message ?? "")?.[1] ?? "unknown"
    return new SqlError.SqlError({ reason: new SqlError.UniqueViolation({ ...props, constraint }) })
  }
  const known = reasons.find(([numbers]) => errno !== undefined && numbers.includes(errno))?.[1]
  // The driver calls an error fatal when the connection is lost with it.
  const Chosen = known ?? (fatal === true ? SqlError.ConnectionError : SqlError.UnknownError)
  return new SqlError.SqlError({ reason: new Chosen(props) })
}
