/** The licences of global voices: one a voice, the current one. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const licences: Migration = {
  name: "0008_licences",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS voice_licences (
      voice_id VARCHAR(64) NOT NULL PRIMARY KEY,
      license_id VARCHAR(64) NOT NULL,
      licensor TEXT NOT NULL,
      license_type VARCHAR(16) NOT NULL,
      expires_at BIGINT NULL,
      character_cap BIGINT NULL,
      characters_used BIGINT NOT NULL,
      document_key TEXT NULL,
      created_at BIGINT NOT NULL,
      updated_at BIGINT NOT NULL,
      CONSTRAINT voice_licences_count CHECK (characters_used >= 0)
    ) ${tableOptions(sql)}`
  })
}
