/**
 * Erases voices and persons: out of sight at once, gone step by step behind that, and proven.
 *
 * Asking writes two things in one transaction: the voice's row, emptied of everything that said something of it, and the
 * erasure, which is to be carried out. So what was asked for cannot be forgotten: any process carries it out, the one that
 * was asked at once; one that dies is followed by another when its lease has run out, and a step that fails is tried again
 * for ever. What was under way meanwhile is met by a second round, an hour later.
 *
 * A voice that is gone from sight is gone for running calls, too, on every process.
 */
import { Context, Effect, Latch, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { erasureUnderWay } from "../domain/Erasure.ts"
import type { Erasure as ErasureRecord, ErasureAudit, ErasureKind, Left } from "../domain/Erasure.ts"
import { ErasureNotFound, InvalidRequest, VoiceNotFound } from "../domain/Failure.ts"
import type { PermissionDenied, StorageUnavailable } from "../domain/Failure.ts"
import type { ErasureId, UserId, VoiceId } from "../domain/Ids.ts"
import { isSuperAdmin } from "../domain/Permission.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { refusal } from "../domain/VoiceAccess.ts"
import { orUnavailable } from "./Database.ts"
import * as Asking from "./Erasure/Asking.ts"
import * as CarryOut from "./Erasure/CarryOut.ts"
import * as OfUser from "./Erasure/OfUser.ts"
import * as OfVoice from "./Erasure/OfVoice.ts"
import type { Step } from "./Erasure/Step.ts"
import { RunningVoices } from "./RunningVoices.ts"
import { auditColumns, decodeAudit, decodeErasure, decodeVoiceSubject, erasureColumns } from "./sql/ErasureRow.ts"
import { VoiceRepo } from "./VoiceRepo.ts"

export interface AuditPage {
  readonly items: ReadonlyArray<ErasureAudit>
  /** Null on the last page. */
  readonly nextCursor: string | null
}

export class Erasure extends Context.Service<Erasure, {
  /** Again: the same erasure, for whoever might have asked for it. */
  readonly voice: (
    caller: AuthUser,
    id: VoiceId
  ) => Effect.Effect<ErasureRecord, VoiceNotFound | PermissionDenied | StorageUnavailable>
  /** The same for a voice that is everybody's; for super admins. */
  readonly globalVoice: (
    caller: AuthUser,
    id: VoiceId
  ) => Effect.Effect<ErasureRecord, VoiceNotFound | PermissionDenied | StorageUnavailable>
  /** A person in the caller's tenant, with their voices. Unknown ones too: a row may name somebody who is no user here. */
  readonly user: (caller: AuthUser, userId: UserId) => Effect.Effect<ErasureRecord, StorageUnavailable>
  readonly find: (
    caller: AuthUser,
    id: ErasureId
  ) => Effect.Effect<ErasureRecord, ErasureNotFound | StorageUnavailable>
  /** What is there that should not be; nothing once it is done. A person has to be named again: nothing here does. */
  readonly left: (
    caller: AuthUser,
    id: ErasureId,
    userId: UserId | undefined
  ) => Effect.Effect<ReadonlyArray<Left>, ErasureNotFound | InvalidRequest | StorageUnavailable>
  /** What was erased in the caller's tenant, newest first. `limit`: 1 to 200. */
  readonly audit: (
    caller: AuthUser,
    page: { readonly limit: number; readonly cursor: ErasureId | undefined }
  ) => Effect.Effect<AuditPage, StorageUnavailable>
  /** Carries out what is due by now; says how much that was. Any number of processes may. */
  readonly run: Effect.Effect<number, StorageUnavailable>
  /** Waits until something was asked for in this process since the last `run` began. */
  readonly asked: Effect.Effect<void>
}>()("scaispeak/Erasure") {
  static readonly layer = Layer.effect(
    Erasure,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const repo = yield* VoiceRepo
      const running = yield* RunningVoices
      const ofVoice = yield* OfVoice.make
      const ofUser = yield* OfUser.make
      const asking = yield* Asking.make
      const carryOut = yield* CarryOut.make({ ofVoice, ofUser })
      const asked = Latch.makeUnsafe(false)

      const select = (erasureId: ErasureId) =>
        Effect.flatMap(
          orUnavailable(sql`SELECT ${sql.literal(erasureColumns)} FROM erasures WHERE erasure_id = ${erasureId}`),
          ([row]) => decodeErasure(row)
        )

      /** Once the transaction is over: what runs stops, here and elsewhere, and somebody sets to work. */
      const begun = Effect.fnUntraced(function*(erasureId: ErasureId, voiceIds: ReadonlyArray<VoiceId>) {
        for (const id of voiceIds) yield* Effect.andThen(repo.invalidate(id), running.stop(id, erasureUnderWay))
        yield* asked.open
        return yield* select(erasureId)
      })

      const eraseVoice = (caller: AuthUser, id: VoiceId, refused: Asking.Refuse) =>
        Effect.flatMap(asking.voice(caller, id, refused), (erasureId) => begun(erasureId, [id]))

      const own = Effect.fnUntraced(function*({ tenantId }: AuthUser, id: ErasureId) {
        const [row] = yield* orUnavailable(sql<{ readonly kind: ErasureKind; readonly subject: string }>`
          SELECT kind, subject, subject_json FROM erasures WHERE erasure_id = ${id} AND tenant_id = ${tenantId}`)
        return row ?? (yield* new ErasureNotFound())
      })

      const look = <S>(steps: ReadonlyArray<Step<S>>, subject: S) =>
        Effect.map(
          Effect.forEach(steps, ({ kind, left }) => Effect.map(left(subject), (count): Left => ({ kind, count }))),
          (found) => found.filter(({ count }) => count > 0)
        )

      const left = Effect.fn("Erasure.left")(function*(caller: AuthUser, id: ErasureId, userId: UserId | undefined) {
        const row = yield* own(caller, id)
        if (row.kind === "voice") return yield* look(ofVoice, yield* decodeVoiceSubject(row))
        const { tenantId } = caller
        if (userId === undefined || Asking.hashOf(tenantId, userId) !== row.subject) {
          return yield* InvalidRequest.field("user_id", "must name whom this erasure is of")
        }
        return yield* look(ofUser, { tenantId, userId, erasureId: id })
      })

      const audit = Effect.fn("Erasure.audit")(function*(
        { tenantId }: AuthUser,
        { cursor, limit }: { readonly limit: number; readonly cursor: ErasureId | undefined }
      ) {
        const older = cursor === undefined ? sql.literal("1 = 1") : sql`erasure_id < ${cursor}`
        const rows = yield* orUnavailable(sql`SELECT ${sql.literal(auditColumns)} FROM erasure_audit
          WHERE tenant_id = ${tenantId} AND ${older} ORDER BY erasure_id DESC LIMIT ${sql.literal(String(limit + 1))}`)
        const items = yield* Effect.forEach(rows.slice(0, limit), decodeAudit)
        return { items, nextCursor: rows.length > limit ? items.at(-1)!.erasureId : null }
      })

      return Erasure.of({
        voice: Effect.fn("Erasure.voice")((caller, id) =>
          eraseVoice(caller, id, (voice) => refusal("delete", voice, caller))
        ),
        globalVoice: Effect.fn("Erasure.globalVoice")((caller, id) =>
          eraseVoice(
            caller,
            id,
            ({ scope }) => scope === "global" && isSuperAdmin(caller) ? undefined : new VoiceNotFound()
          )
        ),
        user: Effect.fn("Erasure.user")((caller, userId) =>
          Effect.flatMap(asking.user(caller, userId), ({ erasureId, voiceIds }) => begun(erasureId, voiceIds))
        ),
        find: (caller, id) => Effect.andThen(own(caller, id), select(id)),
        left,
        audit,
        run: Effect.andThen(asked.close, carryOut),
        asked: asked.await
      })
    })
  )
}
