/** The moment in which an erasure is asked for: what it is of is emptied, and the erasure written down, in one transaction. */
import { Clock, Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { Statement } from "effect/sql"
import { createHash } from "node:crypto"
import { personOf } from "../../domain/Erasure.ts"
import type { ErasureKind } from "../../domain/Erasure.ts"
import { VoiceNotFound } from "../../domain/Failure.ts"
import type { PermissionDenied } from "../../domain/Failure.ts"
import type { ErasureId, TenantId, UserId, VoiceId } from "../../domain/Ids.ts"
import type { AuthUser } from "../../domain/Permission.ts"
import type { Voice } from "../../domain/Voice.ts"
import { orUnavailable } from "../Database.ts"
import { makeId } from "../Ids.ts"
import { forUpdate } from "../sql/Dialect.ts"
import { erased, isThere } from "../sql/ErasedVoice.ts"
import { decodeVoiceSubject } from "../sql/ErasureRow.ts"
import type { UserSubject, VoiceSubject } from "../sql/ErasureRow.ts"
import { columns, decode } from "../sql/VoiceRow.ts"

/** In place of a person. */
export const hashOf = (tenantId: TenantId, userId: UserId): string =>
  createHash("sha256").update(personOf(tenantId, userId)).digest("hex")

interface Request {
  readonly kind: ErasureKind
  readonly subject: string
  readonly about: VoiceSubject | UserSubject
  readonly parentId: ErasureId | null
}

export type Refuse = (
  voice: Pick<Voice, "scope" | "tenantId" | "ownerUserId">
) => VoiceNotFound | PermissionDenied | undefined

export const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const inTransaction = <A, E, R>(self: Effect.Effect<A, E, R>) => orUnavailable(sql.withTransaction(self))

  const insert = Effect.fnUntraced(function*(caller: AuthUser, { about, kind, parentId, subject }: Request) {
    const erasureId = yield* makeId("ers")
    const now = yield* Clock.currentTimeMillis
    yield* sql`INSERT INTO erasures ${
      sql.insert({
        erasure_id: erasureId,
        parent_id: parentId,
        tenant_id: caller.tenantId,
        kind,
        subject,
        subject_json: JSON.stringify(about),
        requested_by_sha256: hashOf(caller.tenantId, caller.userId),
        requested_at: now,
        state: "pending",
        reason: null,
        attempts: 0,
        counts_json: "{}",
        due_at: now,
        done_at: null
      })
    }`
    return erasureId
  })

  const locked = (where: Statement.Fragment) =>
    Effect.flatMap(
      sql`SELECT ${sql.literal(columns("voices"))} FROM voices WHERE ${where} ${forUpdate(sql)}`,
      Effect.forEach(decode)
    )

  /** `parentId`: of the erasure of its owner, whom it is not to name any more. */
  const tombstone = Effect.fnUntraced(function*(caller: AuthUser, voice: Voice, parentId: ErasureId | null) {
    const { ownerUserId, reference, scope, tenantId, voiceId } = voice
    const now = yield* Clock.currentTimeMillis
    yield* sql`UPDATE voices SET ${sql.update({ ...erased, updated_at: now })} WHERE voice_id = ${voiceId}`
    const clips = reference === null ? [] : [reference.sha256]
    const about = { voiceId, scope, tenantId, ownerUserId: parentId === null ? ownerUserId : null, clips }
    return yield* insert(caller, { kind: "voice", subject: voiceId, about, parentId })
  })

  return {
    /** The erasure of a voice: a new one, or the one that was asked for before, unless the caller is `refused`. */
    voice: (caller: AuthUser, id: VoiceId, refused: Refuse) =>
      inTransaction(Effect.gen(function*() {
        const [voice] = yield* locked(sql`voice_id = ${id} AND ${sql.literal(isThere)}`)
        if (voice !== undefined) {
          const failure = refused(voice)
          return failure === undefined ? yield* tombstone(caller, voice, null) : yield* failure
        }
        const [before] = yield* sql<{ readonly erasure_id: ErasureId }>`SELECT erasure_id, subject_json FROM erasures
          WHERE kind = 'voice' AND subject = ${id} ORDER BY erasure_id DESC LIMIT 1`
        if (before === undefined || refused(yield* decodeVoiceSubject(before)) !== undefined) {
          return yield* new VoiceNotFound()
        }
        return before.erasure_id
      })),

    /** The erasure of a person, and the voices that went from sight with it. */
    user: (caller: AuthUser, userId: UserId) =>
      inTransaction(Effect.gen(function*() {
        const { tenantId } = caller
        const subject = hashOf(tenantId, userId)
        const [pending] = yield* sql<{ readonly erasure_id: ErasureId }>`SELECT erasure_id FROM erasures
          WHERE kind = 'user' AND subject = ${subject} AND state = 'pending'`
        const erasureId = pending?.erasure_id ??
          (yield* insert(caller, { kind: "user", subject, about: { tenantId, userId }, parentId: null }))
        const theirs = yield* locked(sql`tenant_id = ${tenantId} AND owner_user_id = ${userId}`)
        yield* Effect.forEach(theirs, (voice) => tombstone(caller, voice, erasureId), { discard: true })
        return { erasureId, voiceIds: theirs.map(({ voiceId }) => voiceId) }
      }))
  }
})
