/**
 * The ledger of consents. What names a person lies in `consent_details` alone and can be deleted; `consent_events` is only
 * ever added to, and `consent_chains` holds the last event of each tenant's chain.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const consents: Migration = {
  name: "0007_consents",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const options = tableOptions(sql)
    const ifMissing = sql.onDialectOrElse({ mysql: () => sql.literal("IF NOT EXISTS"), orElse: () => sql.literal("") })
    yield* sql`ALTER TABLE voices ADD COLUMN ${ifMissing} consent_json TEXT NULL`
    yield* sql`CREATE TABLE IF NOT EXISTS consents (
      consent_id VARCHAR(64) NOT NULL PRIMARY KEY,
      tenant_id VARCHAR(128) NOT NULL,
      voice_id VARCHAR(64) NOT NULL,
      status VARCHAR(8) NOT NULL,
      granted_at BIGINT NOT NULL,
      revoked_at BIGINT NULL,
      erased_at BIGINT NULL
    ) ${options}`
    yield* sql`CREATE INDEX IF NOT EXISTS consents_by_tenant ON consents (tenant_id, consent_id)`
    yield* sql`CREATE INDEX IF NOT EXISTS consents_by_voice ON consents (voice_id)`
    yield* sql`CREATE TABLE IF NOT EXISTS consent_details (
      consent_id VARCHAR(64) NOT NULL PRIMARY KEY,
      salt VARCHAR(64) NOT NULL,
      full_name TEXT NOT NULL,
      stated_purpose TEXT NOT NULL,
      consent_text MEDIUMTEXT NOT NULL,
      text_sha256 VARCHAR(64) NOT NULL,
      audio_key TEXT NOT NULL,
      audio_sha256 VARCHAR(64) NOT NULL,
      granted_by VARCHAR(128) NOT NULL,
      granted_request VARCHAR(128) NOT NULL,
      granted_ip VARCHAR(64) NULL,
      revoked_by VARCHAR(128) NULL,
      revoked_request VARCHAR(128) NULL,
      revoked_ip VARCHAR(64) NULL
    ) ${options}`
    yield* sql`CREATE TABLE IF NOT EXISTS consent_events (
      tenant_id VARCHAR(128) NOT NULL,
      seq BIGINT NOT NULL,
      event VARCHAR(8) NOT NULL,
      consent_id VARCHAR(64) NOT NULL,
      voice_id VARCHAR(64) NOT NULL,
      at BIGINT NOT NULL,
      details_sha256 VARCHAR(64) NOT NULL,
      previous_hash VARCHAR(64) NOT NULL,
      hash VARCHAR(64) NOT NULL,
      PRIMARY KEY (tenant_id, seq)
    ) ${options}`
    yield* sql`CREATE UNIQUE INDEX IF NOT EXISTS consent_events_once ON consent_events (tenant_id, consent_id, event)`
    yield* sql`CREATE TABLE IF NOT EXISTS consent_chains (
      tenant_id VARCHAR(128) NOT NULL PRIMARY KEY,
      seq BIGINT NOT NULL,
      hash VARCHAR(64) NOT NULL
    ) ${options}`
  })
}
