/**
 * Makes the monthly partitions of `synth_jobs` ahead of time; SQLite has none.
 *
 * The last partition, `later`, takes any date beyond the months made, so a service that runs long without a migration
 * still stores its jobs; splitting it off moves those few rows to their month.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { exclusively } from "./Migrations.ts"

/** A new month is needed once in 30 days, and every start makes this many. */
const monthsAhead = 3

/** `2026-11-22…` → `2026-12-01`: the first day that no longer belongs to the month, `offset` months on. */
const monthEnd = (millis: number, offset: number): string => {
  const date = new Date(millis)
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset + 1, 1)).toISOString().slice(0, 10)
}

/** The partition that ends before `end` is named after its month: `p2026_11`. */
const partitionName = (end: string): string => {
  const month = new Date(Date.parse(end) - 1).toISOString()
  return `p${month.slice(0, 4)}_${month.slice(5, 7)}`
}

/** Makes the months from the current to three ahead that are missing, and returns their names. Idempotent. `now`: epoch ms. */
export const ensurePartitions = Effect.fn("Partitions.ensure")(function*(now: number) {
  const sql = yield* SqlClient.SqlClient
  const make = Effect.gen(function*() {
    const rows = yield* sql<{ readonly description: string }>`
      SELECT PARTITION_DESCRIPTION AS description FROM information_schema.PARTITIONS
      WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'synth_jobs' ORDER BY PARTITION_ORDINAL_POSITION`
    // Ends come quoted, `'2026-12-01'`, and `MAXVALUE` for the last.
    const made = rows.map((row) => row.description.replaceAll("'", ""))
    const newest = made.findLast((end) => end !== "MAXVALUE") ?? ""
    const ends = Array.from({ length: monthsAhead + 1 }, (_, offset) => monthEnd(now, offset)).filter((end) =>
      end > newest
    )
    if (ends.length === 0) return []
    const parts = ends.map((end) => `PARTITION ${partitionName(end)} VALUES LESS THAN ('${end}')`)
    yield* sql.unsafe(
      `ALTER TABLE synth_jobs REORGANIZE PARTITION later INTO (${
        parts.join(", ")
      }, PARTITION later VALUES LESS THAN (MAXVALUE))`
    ).unprepared
    return ends.map(partitionName)
  })
  return yield* sql.onDialectOrElse({
    mysql: () => exclusively(make),
    orElse: () => Effect.succeed<ReadonlyArray<string>>([])
  })
})
