/**
 * Pages of voices are read from the indexes alone: each branch of the visibility rule in page order, with what filters
 * compare in it and the bits that searches are narrowed by, so that a page reads few rows but its own.
 *
 * Language codes are ASCII, and all 184 of ISO 639-1 fit; a text without a bound cannot stand in an index of MariaDB. A
 * row whose bits nobody has set has all of them, and is looked at by every search.
 */
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { Migration } from "../Migrations.ts"
import { nameBits, nameColumns, textBits, textColumns } from "../SearchBits.ts"

const bits = [...nameColumns, ...textColumns]
const indexed = ["kind", "gender", "embedding_status", "search_languages", ...bits].join(", ")
const rowsAtOnce = 500

interface Searched {
  readonly voice_id: string
  readonly search_name: string
  readonly search_text: string
}

/** Sets the bits of the voices that are there. */
const setBits = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  let last = ""
  while (true) {
    const rows = yield* sql<Searched>`SELECT voice_id, search_name, search_text FROM voices
      WHERE voice_id > ${last} ORDER BY voice_id LIMIT ${sql.literal(`${rowsAtOnce}`)}`
    for (const { search_name, search_text, voice_id } of rows) {
      const set = { ...nameBits(search_name), ...textBits(search_text) }
      yield* sql`UPDATE voices SET ${sql.update(set)} WHERE voice_id = ${voice_id}`
      last = voice_id
    }
    if (rows.length < rowsAtOnce) return
  }
})

export const voicePages: Migration = {
  name: "0009_voice_pages",
  up: Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const mysql = (text: string) =>
      sql.onDialectOrElse({ mysql: () => sql.literal(text), orElse: () => sql.literal("") })
    for (const column of bits) {
      yield* sql`ALTER TABLE voices ADD COLUMN ${mysql("IF NOT EXISTS")} ${sql(column)} BIGINT NOT NULL DEFAULT -1`
    }
    yield* sql.onDialectOrElse({
      mysql: () =>
        sql`ALTER TABLE voices
          MODIFY search_languages VARCHAR(600) CHARACTER SET ascii COLLATE ascii_nopad_bin NOT NULL`,
      orElse: () => Effect.void
    })
    yield* setBits
    yield* sql`CREATE INDEX IF NOT EXISTS voices_in_tenant ON voices (
      scope, tenant_id, voice_id, ${sql.literal(indexed)})`
    yield* sql`CREATE INDEX IF NOT EXISTS voices_of_owner ON voices (
      scope, tenant_id, owner_user_id, voice_id, ${sql.literal(indexed)})`
    yield* sql`DROP INDEX IF EXISTS voices_by_tenant ${mysql("ON voices")}`
    yield* sql`DROP INDEX IF EXISTS voices_by_owner ${mysql("ON voices")}`
  })
}
