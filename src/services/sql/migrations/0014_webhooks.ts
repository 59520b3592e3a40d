/**
 * Whom a tenant lets its jobs call back, what that is signed with, and how far telling of a job has come.
 *
 * A secret is kept as `Webhooks/Seal.ts` writes it. `callback_status` is null where nobody asked to be called.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

const columns = [
  "callback_url TEXT NULL",
  "callback_status VARCHAR(16) NULL",
  "callback_attempts INT NOT NULL DEFAULT 0",
  "callback_error TEXT NULL"
]

export const webhooks: Migration = {
  name: "0014_webhooks",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const missing = sql.onDialectOrElse({ mysql: () => sql.literal("IF NOT EXISTS"), orElse: () => sql.literal("") })
    yield* sql`CREATE TABLE IF NOT EXISTS tenant_webhooks (
      tenant_id VARCHAR(128) NOT NULL PRIMARY KEY,
      allowed_origins TEXT NOT NULL,
      secret TEXT NULL,
      secret_made_at BIGINT NULL,
      previous_secret TEXT NULL,
      previous_until BIGINT NULL,
      updated_at BIGINT NOT NULL
    ) ${tableOptions(sql)}`
    for (const column of columns) yield* sql`ALTER TABLE synth_jobs ADD COLUMN ${missing} ${sql.literal(column)}`
  })
}
