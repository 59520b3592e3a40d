/**
 * Makes the monthly partitions of `synth_jobs` ahead of time, and drops old ones; SQLite has none, and loses rows.
 *
 * The last partition, `later`, takes any date beyond the months made, so a service that runs long without a migration
 * still stores its jobs; splitting it off moves those few rows to their month.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { dayOf } from "../Ids.ts"
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

/** Rows that one statement removes where there are no partitions. */
const rowsAtOnce = 1000

/**
 * Drops the months that ended before `beforeMillis` and says how many; in SQLite removes their rows and says how many. A
 * month in which a job has something left to remove stays.
 */
export const dropPartitions = Effect.fn("Partitions.drop")(function*(beforeMillis: number) {
  const sql = yield* SqlClient.SqlClient
  const before = dayOf(beforeMillis)
  const drop = Effect.gen(function*() {
    const rows = yield* sql<{ readonly name: string; readonly description: string }>`
      SELECT PARTITION_NAME AS name, PARTITION_DESCRIPTION AS description FROM information_schema.PARTITIONS
      WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'synth_jobs' ORDER BY PARTITION_ORDINAL_POSITION`
    let count = 0
    for (const { description, name } of rows) {
      const end = description.replaceAll("'", "")
      if (end === "MAXVALUE" || end > before) break
      const left = yield* sql.unsafe(
        `SELECT 1 FROM synth_jobs PARTITION (${name}) WHERE purge_at IS NOT NULL LIMIT 1`
      ).unprepared
      if (left.length > 0) continue
      yield* sql.unsafe(`ALTER TABLE synth_jobs DROP PARTITION ${name}`).unprepared
      count++
    }
    return count
  })
  const month = `${before.slice(0, 7)}-01`
  const remove = Effect.gen(function*() {
    for (let count = 0;;) {
      const removed = yield* sql`
        DELETE FROM synth_jobs WHERE (job_id, created_on) IN (
          SELECT job_id, created_on FROM synth_jobs WHERE created_on < ${month} AND purge_at IS NULL
          LIMIT ${sql.literal(String(rowsAtOnce))})
        RETURNING 1`
      count += removed.length
      if (removed.length < rowsAtOnce) return count
    }
  })
  return yield* sql.onDialectOrElse({ mysql: () => exclusively(drop), orElse: () => remove })
})
