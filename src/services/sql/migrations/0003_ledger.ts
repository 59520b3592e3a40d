/** What was used and who did what: written once, read by tenant and time. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const ledger: Migration = {
  name: "0003_ledger",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const options = tableOptions(sql)
    yield* sql`CREATE TABLE IF NOT EXISTS usage_records (
      synthesis_id VARCHAR(64) NOT NULL PRIMARY KEY,
      request_id VARCHAR(128) NOT NULL,
      tenant_id VARCHAR(128) NOT NULL,
      user_id VARCHAR(128) NOT NULL,
      key_id VARCHAR(64) NULL,
      voice_id VARCHAR(64) NOT NULL,
      backend VARCHAR(1) NOT NULL,
      node_id TEXT NULL,
      engine TEXT NOT NULL,
      model TEXT NOT NULL,
      characters BIGINT NOT NULL,
      audio_ms BIGINT NOT NULL,
      first_audio_ms BIGINT NULL,
      total_ms BIGINT NOT NULL,
      outcome VARCHAR(16) NOT NULL,
      error_code VARCHAR(64) NULL,
      tags TEXT NOT NULL,
      created_at BIGINT NOT NULL
    ) ${options}`
    yield* sql`CREATE INDEX IF NOT EXISTS usage_by_time ON usage_records (tenant_id, created_at)`
    yield* sql`CREATE TABLE IF NOT EXISTS audit_log (
      audit_id VARCHAR(64) NOT NULL PRIMARY KEY,
      tenant_id VARCHAR(128) NOT NULL,
      actor_user_id VARCHAR(128) NOT NULL,
      action VARCHAR(128) NOT NULL,
      resource_id TEXT NULL,
      outcome VARCHAR(16) NOT NULL,
      request_id VARCHAR(128) NOT NULL,
      created_at BIGINT NOT NULL
    ) ${options}`
    yield* sql`CREATE INDEX IF NOT EXISTS audit_by_time ON audit_log (tenant_id, created_at)`
  })
}
