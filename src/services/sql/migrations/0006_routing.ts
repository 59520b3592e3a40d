/** What a voice is followed or designed from, and how each synthesis was routed. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { Migration } from "../Migrations.ts"

export const routing: Migration = {
  name: "0006_routing",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`ALTER TABLE voices ADD COLUMN ${missing(sql)} reference_json TEXT NULL`
    yield* sql`ALTER TABLE voices ADD COLUMN ${missing(sql)} design_prompt TEXT NULL`
    yield* sql`ALTER TABLE usage_records ADD COLUMN ${missing(sql)} routing TEXT NULL`
  })
}

/** MariaDB commits each statement by itself, so a migration that was cut short begins anew; SQLite takes it back whole. */
const missing = (sql: SqlClient.SqlClient) =>
  sql.onDialectOrElse({ mysql: () => sql.literal("IF NOT EXISTS"), orElse: () => sql.literal("") })
