/**
 * Live recordings that wait for their voice, and how well a spoken consent fits its text. A recording is `taken` while a
 * request makes a voice of it, so that two never do.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const recordings: Migration = {
  name: "0012_recordings",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const ifMissing = sql.onDialectOrElse({ mysql: () => sql.literal("IF NOT EXISTS"), orElse: () => sql.literal("") })
    yield* sql`CREATE TABLE IF NOT EXISTS recordings (
      recording_id VARCHAR(64) NOT NULL PRIMARY KEY,
      tenant_id VARCHAR(128) NOT NULL,
      user_id VARCHAR(128) NOT NULL,
      part VARCHAR(16) NOT NULL,
      state VARCHAR(8) NOT NULL,
      expires_at BIGINT NOT NULL
    ) ${tableOptions(sql)}`
    yield* sql`CREATE INDEX IF NOT EXISTS recordings_due ON recordings (expires_at)`
    yield* sql`ALTER TABLE consent_details ADD COLUMN ${ifMissing} alignment_json TEXT NULL`
  })
}
