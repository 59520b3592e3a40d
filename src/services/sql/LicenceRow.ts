/** A licence as its table keeps it. */
import { Effect, Schema } from "effect"
import { Licence } from "../../domain/Licence.ts"

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
const names = Object.keys(Row.from.fields)
const decodeRow = Schema.decodeUnknownEffect(Row)

/** For `SELECT`. */
export const columns = names.join(", ")
export const encode = Schema.encodeSync(Row)
/** A row that does not decode was not written by this service: a defect. */
export const decode = (row: unknown): Effect.Effect<Licence> => Effect.orDie(decodeRow(row))

/** The columns beside those of another table: of the table called `alias` in the statement. */
export const joined = (alias: string): string => names.map((name) => `${alias}.${name} AS licence_${name}`).join(", ")

/** Of a row with {@link joined}; null where an outer join found no licence. */
export const decodeJoined = (row: Record<string, unknown>): Effect.Effect<Licence | null> =>
  row["licence_license_id"] === null
    ? Effect.succeed(null)
    : decode(Object.fromEntries(names.map((name) => [name, row[`licence_${name}`]])))
