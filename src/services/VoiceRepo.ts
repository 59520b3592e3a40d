/**
 * The voice library as a caller sees it: global voices, the tenant's, and the caller's own.
 *
 * Visibility is part of the query, so a voice that is absent and one that is hidden take the same path and time. Voices
 * found, and not found, are remembered for up to 5 s in this process: a warm call makes no round trip. Other processes hear
 * of a change by signal.
 */
import { Cache, Context, Effect, Exit, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { erasureUnderWay } from "../domain/Erasure.ts"
import { InvalidRequest, VoiceNotFound, VoiceNotReady } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { VoiceId } from "../domain/Ids.ts"
import type { Licence } from "../domain/Licence.ts"
import { isVisibleTo, notReady } from "../domain/Voice.ts"
import type { Voice } from "../domain/Voice.ts"
import { pageMax } from "../domain/VoiceFilter.ts"
import { orUnavailable } from "./Database.ts"
import { onSignal, Signals } from "./Signals.ts"
import { isThere } from "./sql/ErasedVoice.ts"
import { decodeVoiceSubject, pendingErasure } from "./sql/ErasureRow.ts"
import { decodeJoined } from "./sql/LicenceRow.ts"
import { syncPresets } from "./sql/PresetSync.ts"
import type { PresetListing } from "./sql/PresetSync.ts"
import { recall } from "./sql/Recall.ts"
import { decodeCursor, encodeCursor, listQuery } from "./sql/VoiceList.ts"
import type { VoiceCaller, VoiceFilter } from "./sql/VoiceList.ts"
import { columns, decode } from "./sql/VoiceRow.ts"

/** How long another process may go on with a voice that was changed here and that it was not told of. */
const rememberedMillis = 5_000
/** Caller and voice pairs; the ones read longest ago make room. */
const rememberedMax = 10_000
/** Names in one `IN (…)`. */
const idsMax = 500

export interface VoicePage {
  readonly items: ReadonlyArray<Voice>
  /** Of those that have one, as they are now. */
  readonly licences: ReadonlyMap<VoiceId, Licence>
  /** Null on the last page. */
  readonly nextCursor: string | null
}

export class VoiceRepo extends Context.Service<VoiceRepo, {
  /** Absent and invisible cannot be told apart. */
  readonly find: (caller: VoiceCaller, id: VoiceId) => Effect.Effect<Voice, VoiceNotFound | StorageUnavailable>
  /** As {@link find}, but who could see a voice that is being erased is told that it is. Both are one path to others. */
  readonly toSpeak: (
    caller: VoiceCaller,
    id: VoiceId
  ) => Effect.Effect<Voice, VoiceNotFound | VoiceNotReady | StorageUnavailable>
  /** One query a page; by rank of the search, then by id. `limit`: 1 to 200. */
  readonly list: (
    caller: VoiceCaller,
    filter: VoiceFilter & { readonly limit: number; readonly cursor?: string }
  ) => Effect.Effect<VoicePage, InvalidRequest | StorageUnavailable>
  /** Upserts global preset voices; rows whose listing did not change are not touched. */
  readonly syncPresets: (presets: ReadonlyArray<PresetListing>) => Effect.Effect<void, StorageUnavailable>
  /** Makes every process forget a voice. To be called after it was written. */
  readonly invalidate: (id: VoiceId) => Effect.Effect<void>
  /** Forgets what this process alone remembers of a voice. */
  readonly forget: (id: VoiceId) => Effect.Effect<void>
  /** Which of these voices cannot speak, as the database knows it now. Asked past the memory; one that is gone cannot. */
  readonly notReady: (
    ids: ReadonlyArray<VoiceId>
  ) => Effect.Effect<ReadonlyArray<readonly [VoiceId, VoiceNotReady]>, StorageUnavailable>
}>()("scaispeak/VoiceRepo") {
  static readonly layer = Layer.effect(
    VoiceRepo,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const signals = yield* Signals

      const read = Effect.fn("VoiceRepo.read")(function*(key: string) {
        const [id, tenantId, userId] = JSON.parse(key) as [string, string, string]
        const [row] = yield* orUnavailable(sql`
          SELECT ${sql.literal(columns("voices"))} FROM voices WHERE voice_id = ${id} AND (
            scope = 'global' OR (tenant_id = ${tenantId} AND (scope = 'tenant' OR owner_user_id = ${userId})))`)
        return row === undefined ? yield* new VoiceNotFound() : yield* decode(row)
      })
      const remembered = yield* Cache.makeWith(read, {
        capacity: rememberedMax,
        // Only answers are remembered, never an outage.
        timeToLive: (exit) => Exit.isSuccess(exit) || isNotFound(exit) ? rememberedMillis : 0
      })

      const forgetAll = (ids: ReadonlyArray<VoiceId>) => {
        const gone = new Set<string>(ids)
        return Effect.flatMap(
          Cache.keys(remembered),
          (keys) =>
            Effect.forEach([...keys].filter((key) => gone.has(idOf(key))), (key) => Cache.invalidate(remembered, key), {
              discard: true
            })
        )
      }
      const tellOthers = yield* onSignal(
        signals,
        "voices.changed",
        (signal) => signal._tag === "Resync" ? Cache.invalidateAll(remembered) : forgetAll(signal.payload.voiceIds)
      )
      const invalidateAll = (voiceIds: ReadonlyArray<VoiceId>) =>
        voiceIds.length === 0 ? Effect.void : Effect.andThen(forgetAll(voiceIds), tellOthers({ voiceIds }))

      const erasing = Effect.fn("VoiceRepo.erasing")(function*(caller: VoiceCaller, id: VoiceId) {
        const [row] = yield* orUnavailable(pendingErasure(sql, id))
        const subject = row === undefined ? undefined : yield* decodeVoiceSubject(row)
        return subject !== undefined && isVisibleTo(subject, caller)
          ? new VoiceNotReady({ reason: erasureUnderWay })
          : new VoiceNotFound()
      })

      const unready = Effect.fn("VoiceRepo.notReady")(function*(ids: ReadonlyArray<VoiceId>) {
        const known = new Map<VoiceId, Voice>()
        for (let i = 0; i < ids.length; i += idsMax) {
          const rows = yield* orUnavailable(sql`SELECT ${sql.literal(columns("voices"))} FROM voices
            WHERE ${sql.in("voice_id", ids.slice(i, i + idsMax))} AND ${sql.literal(isThere)}`)
          for (const voice of yield* Effect.forEach(rows, decode)) known.set(voice.voiceId, voice)
        }
        return ids.flatMap((id) => {
          const voice = known.get(id)
          const refusal = voice === undefined ? new VoiceNotReady({ reason: "The voice is gone." }) : notReady(voice)
          return refusal === undefined ? [] : [[id, refusal] as const]
        })
      })

      const list = Effect.fn("VoiceRepo.list")(function*(
        caller: VoiceCaller,
        { cursor, limit, ...filter }: VoiceFilter & { readonly limit: number; readonly cursor?: string }
      ) {
        if (!Number.isInteger(limit) || limit < 1 || limit > pageMax) {
          return yield* InvalidRequest.field("limit", `must be a whole number from 1 to ${pageMax}`)
        }
        const after = cursor === undefined ? undefined : decodeCursor(cursor)
        if (cursor !== undefined && after === undefined) {
          return yield* InvalidRequest.field("cursor", "must be the next_cursor of an earlier page")
        }
        // One more than asked for tells whether there is a next page.
        const rows = yield* orUnavailable(listQuery(sql, caller, filter, after, limit + 1))
        const items = yield* Effect.forEach(rows.slice(0, limit), decode)
        const last = rows[limit - 1]
        const licences = new Map<VoiceId, Licence>()
        for (const row of rows) {
          const licence = yield* decodeJoined(row)
          if (licence !== null) licences.set(row.voice_id, licence)
        }
        return {
          items,
          licences,
          nextCursor: rows.length > limit && last !== undefined
            ? encodeCursor({ rank: Number(last.match_rank), voiceId: last.voice_id })
            : null
        }
      })

      return VoiceRepo.of({
        find: (caller, id) => recall(remembered, keyOf(id, caller)),
        toSpeak: (caller, id) =>
          Effect.catchTag(
            recall(remembered, keyOf(id, caller)),
            "VoiceNotFound",
            () => Effect.flatMap(erasing(caller, id), Effect.fail)
          ),
        list,
        syncPresets: (presets) =>
          syncPresets(presets).pipe(
            Effect.provideService(SqlClient.SqlClient, sql),
            orUnavailable,
            Effect.flatMap(invalidateAll)
          ),
        invalidate: (id) => invalidateAll([id]),
        forget: (id) => forgetAll([id]),
        notReady: unready
      })
    })
  )
}

/** Unambiguous whatever tenants and users are called; the id comes first, so that a voice can be forgotten for everybody. */
const keyOf = (id: VoiceId, { tenantId, userId }: VoiceCaller): string => JSON.stringify([id, tenantId, userId])
const idOf = (key: string): string => key.slice(2, key.indexOf(`"`, 2))

const isNotFound = (exit: Exit.Exit<unknown, VoiceNotFound | StorageUnavailable>): boolean =>
  Exit.findErrorOption(exit).pipe((error) => error._tag === "Some" && error.value._tag === "VoiceNotFound")
