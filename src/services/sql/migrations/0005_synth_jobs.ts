/**
 * Synthesis jobs, in MariaDB partitioned by the month they were created in, so that retention drops whole months.
 *
 * `created_on` is the UTC day of the time inside `job_id` (`dayOf(millisOf(jobId))`), so an id alone names its partition.
 * MariaDB wants the partition column in every unique key and no foreign keys (errors 1503, 1506).
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const synthJobs: Migration = {
  name: "0005_synth_jobs",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const partitions = sql.onDialectOrElse({
      mysql: () => sql.literal("PARTITION BY RANGE COLUMNS (created_on) (PARTITION later VALUES LESS THAN (MAXVALUE))"),
      orElse: () => sql.literal("")
    })
    yield* sql`CREATE TABLE IF NOT EXISTS synth_jobs (
      job_id VARCHAR(64) NOT NULL,
      created_on DATE NOT NULL,
      tenant_id VARCHAR(128) NOT NULL,
      user_id VARCHAR(128) NOT NULL,
      voice_id VARCHAR(64) NOT NULL,
      status VARCHAR(16) NOT NULL,
      status_reason TEXT NULL,
      request MEDIUMTEXT NOT NULL,
      characters BIGINT NOT NULL,
      attempts INT NOT NULL DEFAULT 0,
      backend_used VARCHAR(1) NULL,
      audio_uri TEXT NULL,
      audio_duration_ms BIGINT NULL,
      created_at BIGINT NOT NULL,
      started_at BIGINT NULL,
      finished_at BIGINT NULL,
      updated_at BIGINT NOT NULL,
      expires_at BIGINT NOT NULL,
      PRIMARY KEY (job_id, created_on)
    ) ${tableOptions(sql)} ${partitions}`
    yield* sql`CREATE INDEX IF NOT EXISTS synth_jobs_by_user ON synth_jobs (tenant_id, user_id, job_id)`
    yield* sql`CREATE INDEX IF NOT EXISTS synth_jobs_by_expiry ON synth_jobs (expires_at)`
  })
}
