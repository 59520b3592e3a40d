/** Replies kept under the caller's `Idempotency-Key`. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const idempotency: Migration = {
  name: "0004_idempotency",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // The widest key is 2 556 bytes of the 3 072 that InnoDB indexes.
    yield* sql`CREATE TABLE IF NOT EXISTS idempotency_keys (
      tenant_id VARCHAR(128) NOT NULL,
      user_id VARCHAR(128) NOT NULL,
      route VARCHAR(128) NOT NULL,
      idem_key VARCHAR(255) NOT NULL,
      body_sha256 VARCHAR(64) NOT NULL,
      state VARCHAR(16) NOT NULL,
      locked_until BIGINT NULL,
      status INT NULL,
      headers TEXT NULL,
      object_key TEXT NULL,
      created_at BIGINT NOT NULL,
      expires_at BIGINT NOT NULL,
      PRIMARY KEY (tenant_id, user_id, route, idem_key)
    ) ${tableOptions(sql)}`
    yield* sql`CREATE INDEX IF NOT EXISTS idempotency_by_expiry ON idempotency_keys (expires_at)`
  })
}
