/**
 * Changes to voices: what is said of them, and whom they are shared with.
 *
 * Whether the caller may is decided on the row as it stands when it is written, under its lock: neither what this process
 * remembers nor another call at the same time has a say. Two changes at once both happen. When a change returns, this
 * process speaks and shows the voice as changed; other processes within 5 s.
 */
import { Clock, Context, DateTime, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import type { PermissionDenied, StorageUnavailable, VoiceNotFound } from "../domain/Failure.ts"
import type { VoiceId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import type { Voice } from "../domain/Voice.ts"
import { refusal } from "../domain/VoiceAccess.ts"
import type { VoiceAct } from "../domain/VoiceAccess.ts"
import { changesOf } from "../domain/VoicePatch.ts"
import type { VoicePatch } from "../domain/VoicePatch.ts"
import { orUnavailable } from "./Database.ts"
import { forUpdate } from "./sql/Dialect.ts"
import { isThere } from "./sql/ErasedVoice.ts"
import { changedColumns } from "./sql/VoiceChange.ts"
import type { StoredChange } from "./sql/VoiceChange.ts"
import { columns, decode } from "./sql/VoiceRow.ts"
import { VoiceRepo } from "./VoiceRepo.ts"

type Refusal = VoiceNotFound | PermissionDenied | StorageUnavailable

export class VoiceLibrary extends Context.Service<VoiceLibrary, {
  /** The voice as it is stored now, for a caller who may do `act` to it. */
  readonly permit: (caller: AuthUser, id: VoiceId, act: VoiceAct) => Effect.Effect<Voice, Refusal>
  /** A patch that names no field changes nothing, `updated_at` included. */
  readonly update: (caller: AuthUser, id: VoiceId, patch: VoicePatch) => Effect.Effect<Voice, Refusal>
  /** The whole tenant sees and speaks it from now on. It stays its owner's. Again: nothing. */
  readonly share: (caller: AuthUser, id: VoiceId) => Effect.Effect<Voice, Refusal>
  /** Its owner's alone again, whoever takes it back. Again: nothing. */
  readonly unshare: (caller: AuthUser, id: VoiceId) => Effect.Effect<Voice, Refusal>
}>()("scaispeak/VoiceLibrary") {
  static readonly layer = Layer.effect(
    VoiceLibrary,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const repo = yield* VoiceRepo

      const read = Effect.fnUntraced(
        function*(caller: AuthUser, id: VoiceId, act: VoiceAct, lock: "locked" | "unlocked") {
          const [row] = yield* sql`SELECT ${sql.literal(columns("voices"))} FROM voices
            WHERE voice_id = ${id} AND ${sql.literal(isThere)}
            ${lock === "locked" ? forUpdate(sql) : sql.literal("")}`
          const voice = row === undefined ? undefined : yield* decode(row)
          const refused = refusal(act, voice ?? nobodys, caller)
          // An absent voice is one that nobody may read.
          return voice === undefined || refused !== undefined ? yield* (refused ?? Effect.die(id)) : voice
        }
      )

      const change = (caller: AuthUser, id: VoiceId, act: VoiceAct, changes: (voice: Voice) => StoredChange) =>
        Effect.gen(function*() {
          const voice = yield* read(caller, id, act, "locked")
          const changed = changes(voice)
          if (Object.keys(changed).length === 0) return voice
          const now = yield* Clock.currentTimeMillis
          // Two changes within one ms are two changes.
          const updatedAt = Math.max(now, DateTime.toEpochMillis(voice.updatedAt) + 1)
          const after = { ...voice, ...changed, updatedAt: DateTime.makeUnsafe(updatedAt) }
          yield* sql`UPDATE voices SET ${sql.update(changedColumns(after, changed))} WHERE voice_id = ${id}`
          return after
        }).pipe(sql.withTransaction, orUnavailable, Effect.ensuring(repo.invalidate(id)))

      return VoiceLibrary.of({
        permit: (caller, id, act) => orUnavailable(read(caller, id, act, "unlocked")),

        update: Effect.fn("VoiceLibrary.update")((caller, id, patch) =>
          change(caller, id, "update", (voice) => changesOf(voice, patch))
        ),

        share: Effect.fn("VoiceLibrary.share")((caller, id) =>
          change(caller, id, "share", ({ scope }) => scope === "tenant" ? {} : { scope: "tenant" })
        ),

        unshare: Effect.fn("VoiceLibrary.unshare")((caller, id) =>
          change(caller, id, "unshare", ({ scope }) => scope === "user" ? {} : { scope: "user" })
        )
      })
    })
  )
}

/** Refused to everybody, as a voice that cannot be seen is. */
const nobodys = { scope: "user", tenantId: null, ownerUserId: null } as const
