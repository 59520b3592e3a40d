/** What a voice is followed or designed from, and how each synthesis was routed. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { Migration } from "../Migrations.ts"

export const routing: Migration = {
  name: "0006_routing",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`ALTER TABLE voices ADD COLUMN reference_json TEXT NULL`
    yield* sql`ALTER TABLE voices ADD COLUMN design_prompt TEXT NULL`
    yield* sql`ALTER TABLE usage_records ADD COLUMN routing TEXT NULL`
  })
}
