/**
 * The one query behind a page of voices: the branches of the visibility rule, each an index range in page order, merged.
 *
 * Pages are ordered by rank (of a search) and then by id. Both never change while somebody turns pages, apart from a
 * rename that changes what a search finds, so nothing is skipped or shown twice.
 */
import { Schema } from "effect"
import type { SqlClient, Statement } from "effect/sql"
import { VoiceId } from "../../domain/Ids.ts"
import type { AuthUser } from "../../domain/Permission.ts"
import type { EmbeddingStatus, Gender, VoiceKind, VoiceScope } from "../../domain/Voice.ts"
import { joined } from "./LicenceRow.ts"
import { nameBits, textBits } from "./SearchBits.ts"
import { columns, fold } from "./VoiceRow.ts"

export type VoiceCaller = Pick<AuthUser, "tenantId" | "userId">

export interface VoiceFilter {
  /** Primary or supported. */
  readonly language?: string
  readonly scope?: typeof VoiceScope.Type
  readonly gender?: typeof Gender.Type
  readonly embeddingStatus?: typeof EmbeddingStatus.Type
  readonly kind?: typeof VoiceKind.Type
  /** Words that must all be found in name, description or tags, whatever their case and accents. */
  readonly q?: string
}

/** Where a page begins: after this rank and id. */
export interface Position {
  /** 0: the name begins with the whole search, or there is none. 1: every word is in the name. 2: elsewhere too. */
  readonly rank: number
  readonly voiceId: VoiceId
}

/** Words of a search that are looked at. */
const wordsMax = 8

const isVoiceId = Schema.is(VoiceId)

export type ListedRow = Record<string, unknown> & { readonly match_rank: number; readonly voice_id: VoiceId }

export const encodeCursor = ({ rank, voiceId }: Position): string =>
  Buffer.from(`${rank}${voiceId}`).toString("base64url")

/** `undefined`: not one of ours. */
export const decodeCursor = (cursor: string): Position | undefined => {
  const text = Buffer.from(cursor, "base64url").toString()
  const rank = ["0", "1", "2"].indexOf(text.charAt(0))
  const voiceId = text.slice(1)
  return rank >= 0 && isVoiceId(voiceId) && encodeCursor({ rank, voiceId }) === cursor ? { rank, voiceId } : undefined
}

/** Rows of `count` voices at most, with their `match_rank` and their licences. */
export const listQuery = (
  sql: SqlClient.SqlClient,
  caller: VoiceCaller,
  filter: VoiceFilter,
  after: Position | undefined,
  count: number
): Statement.Statement<ListedRow> => {
  const search = fold(filter.q ?? "")
  const words = search.split(" ").filter((word) => word !== "").slice(0, wordsMax)
  const filters = [
    ...(filter.language === undefined ? [] : [sql`INSTR(search_languages, ${` ${filter.language} `}) > 0`]),
    ...(filter.gender === undefined ? [] : [sql`gender = ${filter.gender}`]),
    ...(filter.embeddingStatus === undefined ? [] : [sql`embedding_status = ${filter.embeddingStatus}`]),
    ...(filter.kind === undefined ? [] : [sql`kind = ${filter.kind}`])
  ]
  const belonging = {
    global: sql`scope = 'global' AND tenant_id IS NULL`,
    tenant: sql`scope = 'tenant' AND tenant_id = ${caller.tenantId}`,
    user: sql`scope = 'user' AND tenant_id = ${caller.tenantId} AND owner_user_id = ${caller.userId}`
  }
  const scopes = filter.scope === undefined ? (["global", "tenant", "user"] as const) : [filter.scope]
  const found = words.length === 0 ? [unranked(sql, after)] : ranked(sql, search, words, after)
  // A whole number, checked by the caller: a bound one would be a double, which LIMIT does not take everywhere.
  const limit = sql.literal(`LIMIT ${count}`)
  const branches = scopes.flatMap((scope) =>
    found.map(({ name, order, rank, where }) =>
      sql`SELECT * FROM (SELECT ${rank} AS match_rank, voice_id FROM voices WHERE ${
        sql.and([belonging[scope], ...filters, ...where])
      } ORDER BY ${sql.literal(order)} ${limit}) AS ${sql(`${scope}_${name}`)}`
    )
  )
  // Only ranks and ids are merged: with the voices' texts in them, MariaDB would keep the branches on disk.
  return sql`SELECT match_rank, ${sql.literal(`${columns("voices")}, ${joined("licences")}`)} FROM (
      SELECT * FROM (${sql.join(" UNION ALL ", false)(branches)}) AS pages
      ORDER BY match_rank, voice_id ${limit}) AS page
    JOIN voices ON voices.voice_id = page.voice_id
    LEFT JOIN voice_licences AS licences ON licences.voice_id = page.voice_id ORDER BY page.match_rank, page.voice_id`
}

/** Some of the voices that are found in a branch, in the order of a page. */
interface Found {
  readonly name: string
  readonly rank: Statement.Fragment
  readonly where: ReadonlyArray<Statement.Fragment>
  readonly order: "voice_id" | "match_rank, voice_id"
}

const beyond = (sql: SqlClient.SqlClient, after: Position | undefined) =>
  after === undefined ? [] : [sql`voice_id > ${after.voiceId}`]

/** Every rank is 0. The order is the index's, which SQLite would not see if the rank stood in it. */
const unranked = (sql: SqlClient.SqlClient, after: Position | undefined): Found => ({
  name: "page",
  rank: sql.literal("0"),
  where: beyond(sql, after),
  order: "voice_id"
})

/**
 * Voices found by their name, which are few or come first anyway, and those found elsewhere, which are read in the order
 * of the index until the page is full.
 */
const ranked = (
  sql: SqlClient.SqlClient,
  search: string,
  words: ReadonlyArray<string>,
  after: Position | undefined
): ReadonlyArray<Found> => {
  const within = (column: string) => words.map((word) => sql`INSTR(${sql.literal(column)}, ${word}) > 0`)
  const inName = sql.and(within("search_name"))
  const rank = sql`CASE WHEN INSTR(search_name, ${search}) = 1 THEN 0 ELSE 1 END`
  const sought = words.join(" ")
  const elsewhere: Found = {
    name: "elsewhere",
    rank: sql.literal("2"),
    where: [
      ...having(sql, textBits(sought)),
      ...within("search_text"),
      sql`NOT (${inName})`,
      ...(after?.rank === 2 ? beyond(sql, after) : [])
    ],
    order: "voice_id"
  }
  if (after?.rank === 2) return [elsewhere]
  const named: Found = {
    name: "named",
    rank,
    where: [
      ...having(sql, nameBits(sought)),
      inName,
      ...(after === undefined
        ? []
        : [sql`(${rank} > ${after.rank} OR (${rank} = ${after.rank} AND voice_id > ${after.voiceId}))`])
    ],
    order: "match_rank, voice_id"
  }
  return [named, elsewhere]
}

/** Rows whose bits hold all of these. */
const having = (sql: SqlClient.SqlClient, bits: Record<string, number>): ReadonlyArray<Statement.Fragment> =>
  Object.entries(bits).flatMap(([column, mask]) =>
    mask === 0 ? [] : [sql`(${sql.literal(column)} & ${mask}) = ${mask}`]
  )
