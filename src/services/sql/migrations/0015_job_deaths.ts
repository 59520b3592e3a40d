/** Which run of a job has it in hand, and how many were never heard of again while they had. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { Migration } from "../Migrations.ts"

const columns = [
  // Since the job last came further.
  "deaths INT NOT NULL DEFAULT 0",
  // The attempt; null while the run waits for something else, and between runs that said how they ended.
  "at_work INT NULL"
]

export const jobDeaths: Migration = {
  name: "0015_job_deaths",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const missing = sql.onDialectOrElse({ mysql: () => sql.literal("IF NOT EXISTS"), orElse: () => sql.literal("") })
    for (const column of columns) yield* sql`ALTER TABLE synth_jobs ADD COLUMN ${missing} ${sql.literal(column)}`
  })
}
