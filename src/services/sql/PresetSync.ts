/** Writes the preset voices that an engine or relay lists, touching only rows whose listing changed. */
import { Clock, DateTime, Effect } from "effect"
import { SqlClient } from "effect/sql"
import { createHash } from "node:crypto"
import type { VoiceId } from "../../domain/Ids.ts"
import type { Gender, Voice } from "../../domain/Voice.ts"
import { keepExisting } from "./Dialect.ts"
import { encode } from "./VoiceRow.ts"

export interface PresetListing {
  readonly voiceId: VoiceId
  readonly displayName: string
  readonly description: string
  readonly gender: typeof Gender.Type
  /** ISO 639-1, the primary one first. A listing without any is English. */
  readonly languages: ReadonlyArray<string>
  readonly styleTags: ReadonlyArray<string>
  /** Engine kind and speaker on backend A. */
  readonly preset: { readonly engine: string; readonly name: string } | null
  /** Who speaks on backend B. */
  readonly relaySpeaker: string | null
}

/** Names in one `IN (…)`. */
const namesMax = 500

/**
 * Returns the ids of voices that were written.
 *
 * A row remembers the listing it was made from. Several processes may do this at once: an insert gives way to a row that
 * is there, and an update only replaces the listing it has seen. What an administrator changed on a voice stays until the
 * listing itself changes.
 */
export const syncPresets = Effect.fn("PresetSync.sync")(function*(listings: ReadonlyArray<PresetListing>) {
  const sql = yield* SqlClient.SqlClient
  const now = yield* Clock.currentTimeMillis
  const known = new Map<string, string | null>()
  for (let i = 0; i < listings.length; i += namesMax) {
    const ids = listings.slice(i, i + namesMax).map(({ voiceId }) => voiceId)
    const rows = yield* sql<{ readonly voice_id: string; readonly listing_sha256: string | null }>`
      SELECT voice_id, listing_sha256 FROM voices WHERE ${sql.in("voice_id", ids)}`
    for (const row of rows) known.set(row.voice_id, row.listing_sha256)
  }
  const written: Array<VoiceId> = []
  for (const listing of listings) {
    const sha256 = createHash("sha256").update(canonical(listing)).digest("hex")
    const seen = known.get(listing.voiceId)
    if (seen === sha256) continue
    const row = { ...encode(voiceOf(listing, now)), listing_sha256: sha256 }
    const { created_at: _, ...changes } = row
    yield* seen === undefined
      ? sql`INSERT INTO voices ${sql.insert(row)} ${keepExisting(sql, "voice_id")}`
      : sql`UPDATE voices SET ${sql.update(changes, ["voice_id"])}
          WHERE voice_id = ${listing.voiceId} AND scope = 'global' AND kind = 'preset' AND listing_sha256 = ${seen}`
    written.push(listing.voiceId)
  }
  return written
})

/** The listing's fields in a fixed order. */
const canonical = (listing: PresetListing): string =>
  JSON.stringify([
    listing.displayName,
    listing.description,
    listing.gender,
    listing.languages,
    listing.styleTags,
    listing.preset && [listing.preset.engine, listing.preset.name],
    listing.relaySpeaker
  ])

const voiceOf = ({ languages, ...listing }: PresetListing, now: number): Voice => ({
  ...listing,
  scope: "global",
  kind: "preset",
  languagePrimary: languages[0] ?? "en",
  languageSupported: languages.length === 0 ? ["en"] : languages,
  ageHint: null,
  embeddingStatus: "ready",
  statusReason: null,
  ownerUserId: null,
  tenantId: null,
  defaults: {},
  reference: null,
  designPrompt: null,
  consent: null,
  createdAt: DateTime.makeUnsafe(now),
  updatedAt: DateTime.makeUnsafe(now)
})
