/**
 * The intake of voices. `pending_blobs` names folders of the object store that may hold what no row names; `consent_details`
 * says which program a consent came from.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const intake: Migration = {
  name: "0010_intake",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const ifMissing = sql.onDialectOrElse({ mysql: () => sql.literal("IF NOT EXISTS"), orElse: () => sql.literal("") })
    yield* sql`CREATE TABLE IF NOT EXISTS pending_blobs (
      pending_id VARCHAR(64) NOT NULL PRIMARY KEY,
      object_prefix VARCHAR(512) NOT NULL,
      state VARCHAR(8) NOT NULL,
      due_at BIGINT NOT NULL
    ) ${tableOptions(sql)}`
    yield* sql`CREATE INDEX IF NOT EXISTS pending_blobs_due ON pending_blobs (due_at)`
    for (const column of ["granted_user_agent", "revoked_user_agent"]) {
      yield* sql`ALTER TABLE consent_details ADD COLUMN ${ifMissing} ${sql(column)} VARCHAR(512) NULL`
    }
  })
}
