/**
 * What a synthesis job needs to be run, followed and removed, and the queue that it waits in.
 *
 * An entry of `job_queue` is there from the job's row on, in one transaction, until nothing is left to do for the job. It is
 * `ready`, and then its `position` tells when its turn is; or it is not before `visible_at`: in somebody's hands (`holder`)
 * until then unless renewed, or to be tried again then. The table holds what waits and runs and nothing of the past, so that
 * taking an entry costs the same however many jobs there were.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

const columns = [
  "synthesis_id VARCHAR(64) NOT NULL DEFAULT ''",
  "request_id VARCHAR(128) NOT NULL DEFAULT ''",
  "key_id VARCHAR(64) NULL",
  "license_id VARCHAR(64) NULL",
  "error_code VARCHAR(64) NULL",
  // Counts runs: what a run writes names its own, so that one that was given up for dead changes nothing.
  "fence BIGINT NOT NULL DEFAULT 0",
  // Runs that failed, and the run that last came further: a job that gets on is not given up.
  "failures INT NOT NULL DEFAULT 0",
  "last_progress INT NOT NULL DEFAULT 0",
  "revision BIGINT NOT NULL DEFAULT 0",
  "segments TEXT NULL",
  "speaker TEXT NULL",
  "routing TEXT NULL",
  "segments_total INT NOT NULL DEFAULT 0",
  "segments_done INT NOT NULL DEFAULT 0",
  "characters_done BIGINT NOT NULL DEFAULT 0",
  "saved TEXT NULL",
  // When its objects and its text go; null once they are gone.
  "purge_at BIGINT NULL",
  "tags TEXT NULL"
]

export const jobs: Migration = {
  name: "0013_jobs",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const missing = sql.onDialectOrElse({
      mysql: () => sql.literal("IF NOT EXISTS"),
      orElse: () => sql.literal("")
    })
    for (const column of columns) yield* sql`ALTER TABLE synth_jobs ADD COLUMN ${missing} ${sql.literal(column)}`
    yield* sql.onDialectOrElse({
      mysql: () => sql`DROP INDEX IF EXISTS synth_jobs_by_expiry ON synth_jobs`,
      orElse: () => sql`DROP INDEX IF EXISTS synth_jobs_by_expiry`
    })
    yield* sql`CREATE INDEX IF NOT EXISTS synth_jobs_by_purge ON synth_jobs (purge_at)`
    yield* sql`CREATE INDEX IF NOT EXISTS synth_jobs_by_voice ON synth_jobs (voice_id, job_id)`
    yield* sql`CREATE TABLE IF NOT EXISTS job_queue (
      queue VARCHAR(32) NOT NULL,
      id VARCHAR(64) NOT NULL,
      flow VARCHAR(128) NOT NULL,
      element TEXT NOT NULL,
      position BIGINT NOT NULL,
      ready INT NOT NULL,
      visible_at BIGINT NOT NULL,
      holder VARCHAR(64) NULL,
      attempts INT NOT NULL,
      PRIMARY KEY (queue, id)
    ) ${tableOptions(sql)}`
    // How far a queue has come: the furthest position that was taken from it.
    yield* sql`CREATE TABLE IF NOT EXISTS job_queue_clock (
      queue VARCHAR(32) NOT NULL PRIMARY KEY,
      position BIGINT NOT NULL
    ) ${tableOptions(sql)}`
    yield* sql`CREATE INDEX IF NOT EXISTS job_queue_turns ON job_queue (queue, ready, position, id)`
    yield* sql`CREATE INDEX IF NOT EXISTS job_queue_flows ON job_queue (queue, flow, position)`
    yield* sql`CREATE INDEX IF NOT EXISTS job_queue_times ON job_queue (ready, visible_at)`
    yield* sql`CREATE INDEX IF NOT EXISTS job_queue_holders ON job_queue (holder)`
  })
}
