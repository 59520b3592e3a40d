/** A voice as its table keeps it, and the folded text that it is found by. */
import { Effect, Schema } from "effect"
import { Voice } from "../../domain/Voice.ts"
import { nameBits, textBits } from "./SearchBits.ts"

const { createdAt: _createdAt, updatedAt: _updatedAt, ...fields } = Voice.fields

const json = <S extends Schema.Top>(schema: S) => Schema.fromJsonString(schema)

/** {@link Voice} with snake_case columns, JSON as text and times as epoch ms. */
const Row = Schema.Struct({
  ...fields,
  languageSupported: json(Voice.fields.languageSupported),
  styleTags: json(Voice.fields.styleTags),
  defaults: json(Voice.fields.defaults),
  preset: Schema.NullOr(json(Voice.fields.preset.members[0])),
  reference: Schema.NullOr(json(Voice.fields.reference.members[0])),
  consent: Schema.NullOr(json(Voice.fields.consent.members[0])),
  createdAt: Schema.DateTimeUtcFromMillis,
  updatedAt: Schema.DateTimeUtcFromMillis
}).pipe(Schema.encodeKeys({
  voiceId: "voice_id",
  displayName: "display_name",
  languagePrimary: "language_primary",
  languageSupported: "language_supported",
  ageHint: "age_hint",
  styleTags: "style_tags",
  embeddingStatus: "embedding_status",
  statusReason: "status_reason",
  ownerUserId: "owner_user_id",
  tenantId: "tenant_id",
  defaults: "defaults_json",
  relaySpeaker: "relay_speaker",
  reference: "reference_json",
  consent: "consent_json",
  designPrompt: "design_prompt",
  createdAt: "created_at",
  updatedAt: "updated_at"
}))

const decodeRow = Schema.decodeUnknownEffect(Row)
const encodeRow = Schema.encodeSync(Row)

/** The columns that {@link decode} needs, of the table called `alias` in the statement, for `SELECT`. */
export const columns = (alias: string): string =>
  Object.keys(Row.from.fields).map((column) => `${alias}.${column}`).join(", ")

/** A row that does not decode was not written by this service: a defect. */
export const decode = (row: unknown): Effect.Effect<Voice> => Effect.orDie(decodeRow(row))

/** Every column of the voice, for `INSERT` and `UPDATE`. */
export const encode = (voice: Voice) => {
  const search_name = fold(voice.displayName)
  // Line breaks part the fields, so that no search matches across two of them.
  const search_text = [voice.displayName, voice.description, ...voice.styleTags].map(fold).join("\n")
  return {
    ...encodeRow(voice),
    search_name,
    search_text,
    search_languages: ` ${[voice.languagePrimary, ...voice.languageSupported].join(" ")} `,
    ...nameBits(search_name),
    ...textBits(search_text)
  }
}

/**
 * Text as it is compared: without case, accents, width and control characters, with single blanks. Done here because
 * SQLite knows only the case of ASCII, and so that both databases find the same.
 */
export const fold = (text: string): string =>
  text.normalize("NFKD").replaceAll(/\p{M}/gu, "").toLowerCase().replaceAll(/[\p{C}\s]+/gu, " ").trim()
