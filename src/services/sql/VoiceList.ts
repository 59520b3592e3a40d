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

export const encodeCursor = ({ rank, voiceId }: Position): string =>
  Buffer.from(`${rank}${voiceId}`).toString("base64url")

/** `undefined`: not one of ours. */
export const decodeCursor = (cursor: string): Position | undefined => {
  const text = Buffer.from(cursor, "base64url").toString()
  const rank = ["0", "1", "2"].indexOf(text.charAt(0))
  const voiceId = text.slice(1)
  return rank >= 0 && isVoiceId(voiceId) && encodeCursor({ rank, voiceId }) === cursor ? { rank, voiceId } : undefined
}

/** Rows of `count` voices at most, with their `match_rank`. */
export const listQuery = (
  sql: SqlClient.SqlClient,
  caller: VoiceCaller,
  filter: VoiceFilter,
  after: Position | undefined,
  count: number
): Statement.Statement<{ readonly match_rank: number; readonly voice_id: VoiceId }> => {
  const search = fold(filter.q ?? "")
  const words = search.split(" ").filter((word) => word !== "").slice(0, wordsMax)
  const within = (column: string) => words.map((word) => sql`INSTR(${sql.literal(column)}, ${word}) > 0`)
  const rank = words.length === 0 ? sql.literal("0") : sql`CASE
    WHEN INSTR(search_name, ${search}) = 1 THEN 0 WHEN ${sql.and(within("search_name"))} THEN 1 ELSE 2 END`
  // Without a search every rank is 0, and the plain comparison starts the index range at the cursor.
  const beyond = after === undefined
    ? []
    : words.length === 0
    ? [sql`voice_id > ${after.voiceId}`]
    : [
      sql.or([sql`${rank} > ${after.rank}`, sql.and([sql`${rank} = ${after.rank}`, sql`voice_id > ${after.voiceId}`])])
    ]
  const wanted = [
    ...(filter.language === undefined ? [] : [sql`INSTR(search_languages, ${` ${filter.language} `}) > 0`]),
    ...(filter.gender === undefined ? [] : [sql`gender = ${filter.gender}`]),
    ...(filter.embeddingStatus === undefined ? [] : [sql`embedding_status = ${filter.embeddingStatus}`]),
    ...(filter.kind === undefined ? [] : [sql`kind = ${filter.kind}`]),
    ...within("search_text"),
    ...beyond
  ]
  const branches = {
    global: sql`scope = 'global' AND tenant_id IS NULL`,
    tenant: sql`scope = 'tenant' AND tenant_id = ${caller.tenantId}`,
    user: sql`scope = 'user' AND tenant_id = ${caller.tenantId} AND owner_user_id = ${caller.userId}`
  }
  const scopes = filter.scope === undefined ? (["global", "tenant", "user"] as const) : [filter.scope]
  // A whole number, checked by the caller: a bound one would be a double, which LIMIT does not take everywhere.
  const limit = sql.literal(`LIMIT ${count}`)
  // Without a search the order is the index's: SQLite would sort every row by a constant too.
  const inOrder = sql.literal(words.length === 0 ? "voice_id" : "match_rank, voice_id")
  const branch = (scope: typeof scopes[number]) =>
    sql`SELECT * FROM (SELECT ${rank} AS match_rank, voice_id FROM voices WHERE ${
      sql.and([branches[scope], ...wanted])
    } ORDER BY ${inOrder} ${limit}) AS ${sql(`${scope}_page`)}`
  // Only ranks and ids are merged: with the voices' texts in them, MariaDB would keep the branches on disk.
  return sql`SELECT match_rank, ${sql.literal(columns("voices"))} FROM (
      SELECT * FROM (${sql.join(" UNION ALL ", false)(scopes.map(branch))}) AS pages
      ORDER BY ${inOrder} ${limit}) AS page
    JOIN voices ON voices.voice_id = page.voice_id ORDER BY page.match_rank, page.voice_id`
}
