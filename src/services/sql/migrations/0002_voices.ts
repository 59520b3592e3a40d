/**
 * The voice library. `search_*` columns hold the folded text that searches compare with; `listing_sha256` is what a
 * preset was last listed as.
 *
 * One index a branch of the visibility rule, each ending in the id that pages are ordered by.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const voices: Migration = {
  name: "0002_voices",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS voices (
      voice_id VARCHAR(64) NOT NULL PRIMARY KEY,
      scope VARCHAR(8) NOT NULL,
      tenant_id VARCHAR(128) NULL,
      owner_user_id VARCHAR(128) NULL,
      kind VARCHAR(8) NOT NULL,
      display_name TEXT NOT NULL,
      description MEDIUMTEXT NOT NULL,
      language_primary VARCHAR(2) NOT NULL,
      language_supported TEXT NOT NULL,
      gender VARCHAR(16) NOT NULL,
      age_hint TEXT NULL,
      style_tags TEXT NOT NULL,
      embedding_status VARCHAR(16) NOT NULL,
      status_reason TEXT NULL,
      defaults_json TEXT NOT NULL,
      preset TEXT NULL,
      relay_speaker TEXT NULL,
      created_at BIGINT NOT NULL,
      updated_at BIGINT NOT NULL,
      search_name TEXT NOT NULL,
      search_text MEDIUMTEXT NOT NULL,
      search_languages TEXT NOT NULL,
      listing_sha256 VARCHAR(64) NULL,
      CONSTRAINT voices_belong CHECK (
        (scope = 'global' AND tenant_id IS NULL AND owner_user_id IS NULL)
        OR (scope IN ('tenant', 'user') AND tenant_id IS NOT NULL AND owner_user_id IS NOT NULL)
      )
    ) ${tableOptions(sql)}`
    yield* sql`CREATE INDEX IF NOT EXISTS voices_by_tenant ON voices (scope, tenant_id, voice_id)`
    yield* sql`CREATE INDEX IF NOT EXISTS voices_by_owner ON voices (scope, tenant_id, owner_user_id, voice_id)`
  })
}
