/** Tenants, their users and policies, and API keys. No foreign keys: writers provision what they point at first. */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { tableOptions } from "../Dialect.ts"
import type { Migration } from "../Migrations.ts"

export const tenants: Migration = {
  name: "0001_tenants",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const options = tableOptions(sql)
    yield* sql`CREATE TABLE IF NOT EXISTS tenants (
      tenant_id VARCHAR(128) NOT NULL PRIMARY KEY,
      partner_id VARCHAR(128) NULL,
      module_enabled SMALLINT NOT NULL DEFAULT 1,
      created_at BIGINT NOT NULL
    ) ${options}`
    yield* sql`CREATE TABLE IF NOT EXISTS users (
      tenant_id VARCHAR(128) NOT NULL,
      user_id VARCHAR(128) NOT NULL,
      role VARCHAR(16) NOT NULL,
      created_at BIGINT NOT NULL,
      PRIMARY KEY (tenant_id, user_id)
    ) ${options}`
    yield* sql`CREATE TABLE IF NOT EXISTS tenant_policies (
      tenant_id VARCHAR(128) NOT NULL PRIMARY KEY,
      allowed_backends TEXT NOT NULL,
      default_backend VARCHAR(1) NOT NULL,
      updated_at BIGINT NOT NULL
    ) ${options}`
    yield* sql`CREATE TABLE IF NOT EXISTS api_keys (
      key_id VARCHAR(64) NOT NULL PRIMARY KEY,
      tenant_id VARCHAR(128) NOT NULL,
      user_id VARCHAR(128) NOT NULL,
      name TEXT NOT NULL,
      sha256 VARCHAR(64) NOT NULL UNIQUE,
      permissions TEXT NOT NULL,
      created_at BIGINT NOT NULL,
      expires_at BIGINT NULL,
      revoked_at BIGINT NULL,
      last_used_at BIGINT NULL
    ) ${options}`
    yield* sql`CREATE INDEX IF NOT EXISTS api_keys_tenant ON api_keys (tenant_id, key_id)`
  })
}
