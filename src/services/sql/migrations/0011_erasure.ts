/**
 * Erasures: what is to go, what went, and which clips no cache may keep. `erasure_audit` takes rows and never gives one up
 * or changes it: the database itself refuses. Kept replies say which voice they are about, and what names a user is found
 * by the user.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const erasure: Migration = {
  name: "0011_erasure",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const options = tableOptions(sql)
    const ifMissing = sql.onDialectOrElse({ mysql: () => sql.literal("IF NOT EXISTS"), orElse: () => sql.literal("") })
    yield* sql`CREATE TABLE IF NOT EXISTS erasures (
      erasure_id VARCHAR(64) NOT NULL PRIMARY KEY,
      parent_id VARCHAR(64) NULL,
      tenant_id VARCHAR(128) NOT NULL,
      kind VARCHAR(8) NOT NULL,
      subject VARCHAR(64) NOT NULL,
      subject_json TEXT NOT NULL,
      requested_by_sha256 VARCHAR(64) NOT NULL,
      requested_at BIGINT NOT NULL,
      state VARCHAR(8) NOT NULL,
      reason TEXT NULL,
      attempts INT NOT NULL,
      counts_json TEXT NOT NULL,
      due_at BIGINT NULL,
      done_at BIGINT NULL
    ) ${options}`
    yield* sql`CREATE UNIQUE INDEX IF NOT EXISTS erasures_by_subject ON erasures (kind, subject, erasure_id)`
    yield* sql`CREATE INDEX IF NOT EXISTS erasures_due ON erasures (due_at)`
    yield* sql`CREATE INDEX IF NOT EXISTS erasures_of_parent ON erasures (parent_id)`
    yield* sql`CREATE TABLE IF NOT EXISTS erased_clips (
      sha256 VARCHAR(64) NOT NULL PRIMARY KEY,
      erased_at BIGINT NOT NULL
    ) ${options}`
    yield* sql`CREATE TABLE IF NOT EXISTS erasure_audit (
      erasure_id VARCHAR(64) NOT NULL PRIMARY KEY,
      tenant_id VARCHAR(128) NOT NULL,
      kind VARCHAR(8) NOT NULL,
      subject VARCHAR(64) NOT NULL,
      requested_by_sha256 VARCHAR(64) NOT NULL,
      counts_json TEXT NOT NULL,
      requested_at BIGINT NOT NULL,
      done_at BIGINT NOT NULL
    ) ${options}`
    yield* sql`CREATE INDEX IF NOT EXISTS erasure_audit_by_tenant ON erasure_audit (tenant_id, erasure_id)`
    for (const verb of ["UPDATE", "DELETE"]) {
      const name = sql.literal(`erasure_audit_no_${verb.toLowerCase()}`)
      yield* sql.onDialectOrElse({
        mysql: () =>
          sql`CREATE TRIGGER IF NOT EXISTS ${name} BEFORE ${sql.literal(verb)} ON erasure_audit FOR EACH ROW
            SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'erasure_audit is only added to'`,
        orElse: () =>
          sql`CREATE TRIGGER IF NOT EXISTS ${name} BEFORE ${sql.literal(verb)} ON erasure_audit
            BEGIN SELECT RAISE(ABORT, 'erasure_audit is only added to'); END`
      })
    }
    yield* sql`ALTER TABLE idempotency_keys ADD COLUMN ${ifMissing} voice_id VARCHAR(64) NULL`
    yield* sql`CREATE INDEX IF NOT EXISTS idempotency_by_voice ON idempotency_keys (voice_id)`
    yield* sql`CREATE INDEX IF NOT EXISTS usage_by_user ON usage_records (tenant_id, user_id)`
    yield* sql`CREATE INDEX IF NOT EXISTS audit_by_actor ON audit_log (tenant_id, actor_user_id)`
  })
}
