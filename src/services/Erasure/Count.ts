/** How many rows there are of what an erasure removes. */
import { Effect } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import type { StorageUnavailable } from "../../domain/Failure.ts"
import { orUnavailable } from "../Database.ts"

/** `which`: what stands behind `FROM`. */
export const countWith =
  (sql: SqlClient.SqlClient) => (which: Statement.Fragment): Effect.Effect<number, StorageUnavailable> =>
    orUnavailable(
      Effect.map(sql<{ readonly n: number }>`SELECT COUNT(*) AS n FROM ${which}`, ([row]) => Number(row!.n))
    )
