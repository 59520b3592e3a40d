/**
 * The rows of `voice_licences`. Terms and counts are written apart: a change of terms leaves what was used, and a count is
 * only ever moved by statements that hold it to its bounds, whoever else moves it at the same time.
 */
import { Clock, Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { VoiceNotFound } from "../../domain/Failure.ts"
import type { LicenceId, VoiceId } from "../../domain/Ids.ts"
import { changed, Licence } from "../../domain/Licence.ts"
import type { LicenceTerms } from "../../domain/Licence.ts"
import { orUnavailable } from "../Database.ts"
import { makeId } from "../Ids.ts"
import { affected, forUpdate, overwrite } from "../sql/Dialect.ts"

/** {@link Licence} with snake_case columns and times as epoch ms. */
const Row = Schema.Struct({ ...Licence.fields, expiresAt: Schema.NullOr(Schema.DateTimeUtcFromMillis) }).pipe(
  Schema.encodeKeys({
    licenseId: "license_id",
    type: "license_type",
    expiresAt: "expires_at",
    characterCap: "character_cap",
    charactersUsed: "characters_used",
    documentKey: "document_key"
  })
)
const decode = Schema.decodeUnknownEffect(Row)
const encode = Schema.encodeSync(Row)
const columns = Object.keys(Row.from.fields).join(", ")
const terms = ["licensor", "license_type", "expires_at", "character_cap", "updated_at"]

export const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient

  const read = Effect.fnUntraced(function*(id: VoiceId) {
    const [row] = yield* sql`SELECT ${sql.literal(columns)} FROM voice_licences WHERE voice_id = ${id}`
    return row === undefined ? null : yield* Effect.orDie(decode(row))
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

  /** Changes of one voice's licence follow each other: each sees the terms that the last one left. */
  const change = Effect.fnUntraced(
    function*(id: VoiceId, changes: Partial<LicenceTerms>) {
      const voices = yield* sql`SELECT voice_id FROM voices WHERE voice_id = ${id} AND scope = 'global' ${
        forUpdate(sql)
      }`
      if (voices.length === 0) return yield* new VoiceNotFound()
      const current = yield* read(id)
      const licence: Licence = {
        ...(current ?? { licenseId: yield* makeId("lic"), charactersUsed: 0, documentKey: null }),
        ...(yield* Effect.fromResult(changed(current, changes)))
      }
      const now = yield* Clock.currentTimeMillis
      const row = { voice_id: id, ...encode(licence), created_at: now, updated_at: now }
      yield* sql`INSERT INTO voice_licences ${sql.insert(row)} ${overwrite(sql, ["voice_id"], terms)}`
      return licence
    },
    sql.withTransaction,
    orUnavailable
  )

  return { find, reserve, giveBack, change }
})
