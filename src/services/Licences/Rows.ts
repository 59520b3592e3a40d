/**
 * The rows of `voice_licences`. Terms and counts are written apart: a change of terms leaves what was used, and a count is
 * only ever moved by statements that hold it to its bounds, whoever else moves it at the same time.
 */
import { Clock, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { VoiceNotFound } from "../../domain/Failure.ts"
import type { LicenceId, VoiceId } from "../../domain/Ids.ts"
import { changed } from "../../domain/Licence.ts"
import type { Licence, LicenceTerms } from "../../domain/Licence.ts"
import { orUnavailable } from "../Database.ts"
import { makeId } from "../Ids.ts"
import { affected, forUpdate, overwrite } from "../sql/Dialect.ts"
import { columns, decode, encode } from "../sql/LicenceRow.ts"

/** What a change writes. */
const written = ["licensor", "license_type", "expires_at", "character_cap", "document_key", "updated_at"]

export const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient

  const read = Effect.fnUntraced(function*(id: VoiceId) {
    const [row] = yield* sql`SELECT ${sql.literal(columns)} FROM voice_licences WHERE voice_id = ${id}`
    return row === undefined ? null : yield* decode(row)
  })

  /** Null: the voice has none. */
  const find = (id: VoiceId) => orUnavailable(read(id))

  /** Counts `characters` if the licence is still there, has not ended, and has room for all of them; false otherwise. */
  const reserve = Effect.fnUntraced(function*(licenseId: LicenceId, id: VoiceId, characters: number) {
    const now = yield* Clock.currentTimeMillis
    const found = yield* affected(sql`
      UPDATE voice_licences SET characters_used = characters_used + ${characters}
      WHERE voice_id = ${id} AND license_id = ${licenseId} AND characters_used + ${characters} <= character_cap
        AND (expires_at IS NULL OR expires_at > ${now})`)
    return found === 1
  }, orUnavailable)

  /** Takes back what {@link reserve} counted. */
  const giveBack = (licenseId: LicenceId, id: VoiceId, characters: number) =>
    orUnavailable(sql`
      UPDATE voice_licences SET characters_used = characters_used - ${characters}
      WHERE voice_id = ${id} AND license_id = ${licenseId} AND characters_used >= ${characters}`)

  /** Changes of one voice's licence follow each other: each sees the terms, and the document, that the last one left. */
  const change = Effect.fnUntraced(
    function*(id: VoiceId, changes: Partial<LicenceTerms>, documentKey?: string) {
      const voices = yield* sql`SELECT voice_id FROM voices WHERE voice_id = ${id} AND scope = 'global' ${
        forUpdate(sql)
      }`
      if (voices.length === 0) return yield* new VoiceNotFound()
      const current = yield* read(id)
      const licence: Licence = {
        ...(current ?? { licenseId: yield* makeId("lic"), charactersUsed: 0, documentKey: null }),
        ...(yield* Effect.fromResult(changed(current, changes))),
        ...(documentKey === undefined ? {} : { documentKey })
      }
      const now = yield* Clock.currentTimeMillis
      const row = { voice_id: id, ...encode(licence), created_at: now, updated_at: now }
      yield* sql`INSERT INTO voice_licences ${sql.insert(row)} ${overwrite(sql, ["voice_id"], written)}`
      return { licence, former: current }
    },
    sql.withTransaction,
    orUnavailable
  )

  return { find, reserve, giveBack, change }
})
