/**
 * Pages of voices are read from the indexes alone: each branch of the visibility rule in page order, with what filters
 * compare in it, so that a filter which few voices pass reads no row but theirs.
 *
 * Language codes are ASCII, and all 184 of ISO 639-1 fit; a text without a bound cannot stand in an index of MariaDB.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { Migration } from "../Migrations.ts"

const filtered = "kind, gender, embedding_status, search_languages"

export const voicePages: Migration = {
  name: "0009_voice_pages",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql.onDialectOrElse({
      mysql: () =>
        sql`ALTER TABLE voices
          MODIFY search_languages VARCHAR(600) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL`,
      orElse: () => Effect.void
    })
    yield* sql`CREATE INDEX IF NOT EXISTS voices_in_tenant ON voices (
      scope, tenant_id, voice_id, ${sql.literal(filtered)})`
    yield* sql`CREATE INDEX IF NOT EXISTS voices_of_owner ON voices (
      scope, tenant_id, owner_user_id, voice_id, ${sql.literal(filtered)})`
    const from = sql.onDialectOrElse({ mysql: () => sql.literal("ON voices"), orElse: () => sql.literal("") })
    yield* sql`DROP INDEX IF EXISTS voices_by_tenant ${from}`
    yield* sql`DROP INDEX IF EXISTS voices_by_owner ${from}`
  })
}
