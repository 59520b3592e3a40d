/**
 * Live recordings between the moment that they end and the voice that is made of them, by whatever process: a blob and a
 * row that names it.
 *
 * A recording is its user's, waits for a bounded time, and becomes part of one voice. Whoever takes it has it alone; if no
 * voice comes of it, it is there again for the rest of its time. What ran out is swept.
 */
import { Clock, Context, Effect, Exit, Layer, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import { InvalidRequest } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { RecordingId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import type { RecordedPart } from "../domain/RecorderFrame.ts"
import type { ClipFile } from "./ClipFile.ts"
import { ClipFiles } from "./ClipFiles.ts"
import { orUnavailable } from "./Database.ts"
import { makeId } from "./Ids.ts"
import { ObjectStore } from "./ObjectStore.ts"
import { blobOf, PendingBlobs } from "./PendingBlobs.ts"
import { affected } from "./sql/Dialect.ts"

/** Whoever took a recording in its last moment is long done. */
const takenMillisMax = 3_600_000
/** Rows that a sweep takes at a time. */
const sweepRows = 100

export type RecordingOwner = Pick<AuthUser, "tenantId" | "userId">

export class Recordings extends Context.Service<Recordings, {
  /** Keeps a WAV file. The clip may go when this returns. */
  readonly keep: (
    caller: AuthUser,
    part: RecordedPart,
    clip: ClipFile
  ) => Effect.Effect<RecordingId, StorageUnavailable>
  /**
   * The recording on disk, for as long as the scope is open. When that closes with success the recording is used up.
   * `field`: what of the request names it.
   */
  readonly take: (
    caller: AuthUser,
    part: RecordedPart,
    recordingId: RecordingId,
    field: string
  ) => Effect.Effect<ClipFile, InvalidRequest | StorageUnavailable, Scope.Scope>
  /** Removes everything of a person that waits, or is being taken; says how many. Again, what came since. */
  readonly erase: (owner: RecordingOwner) => Effect.Effect<number, StorageUnavailable>
  readonly count: (owner: RecordingOwner) => Effect.Effect<number, StorageUnavailable>
  /** Removes a recording that nobody has been told of. */
  readonly discard: (recordingId: RecordingId) => Effect.Effect<void, StorageUnavailable>
  /** Removes what ran out by `nowMillis`; says how many. Any number of processes may sweep. */
  readonly sweep: (nowMillis: number) => Effect.Effect<number, StorageUnavailable>
}>()("scaispeak/Recordings") {
  /** `keepMs`: how long a recording waits. */
  static readonly layer = (options: { readonly keepMs: number }) => Layer.effect(Recordings, make(options.keepMs))
}

const make = Effect.fnUntraced(function*(keepMs: number) {
  const sql = yield* SqlClient.SqlClient
  const objects = yield* ObjectStore
  const pending = yield* PendingBlobs
  const files = yield* ClipFiles

  const keep = Effect.fn("Recordings.keep")(function*(caller: AuthUser, part: RecordedPart, clip: ClipFile) {
    const recordingId = yield* makeId("rec")
    const expires_at = (yield* Clock.currentTimeMillis) + keepMs
    yield* pending.storing(
      folderOf(recordingId),
      [blobOf(clip, keyOf(recordingId), "audio/wav")],
      sql`INSERT INTO recordings ${
        sql.insert({
          recording_id: recordingId,
          tenant_id: caller.tenantId,
          user_id: caller.userId,
          part,
          state: "waiting",
          expires_at
        })
      }`
    )
    return recordingId
  })

  const claim = (caller: AuthUser, part: RecordedPart, recordingId: RecordingId, nowMillis: number) =>
    Effect.map(
      affected(sql`UPDATE recordings SET state = 'taken' WHERE recording_id = ${recordingId} AND state = 'waiting'
        AND tenant_id = ${caller.tenantId} AND user_id = ${caller.userId} AND part = ${part}
        AND expires_at > ${nowMillis}`),
      (rows) => rows === 1
    )

  const giveBack = (recordingId: RecordingId) =>
    sql`UPDATE recordings SET state = 'waiting' WHERE recording_id = ${recordingId}`

  const useUp = (recordingId: RecordingId) =>
    sql.withTransaction(Effect.andThen(
      pending.discard(folderOf(recordingId), 0),
      sql`DELETE FROM recordings WHERE recording_id = ${recordingId}`
    ))

  /** The row goes first, so that nobody takes it any more; the folder at once, or with the sweep if the store is away now. */
  const discard = (recordingId: RecordingId) =>
    orUnavailable(Effect.gen(function*() {
      yield* useUp(recordingId)
      yield* objects.removeAll(folderOf(recordingId))
    }))

  const take = Effect.fn("Recordings.take")(function*(
    caller: AuthUser,
    part: RecordedPart,
    recordingId: RecordingId,
    field: string
  ) {
    const claimed = yield* Effect.acquireRelease(
      orUnavailable(Effect.flatMap(Clock.currentTimeMillis, (now) => claim(caller, part, recordingId, now))),
      (claimed, exit) =>
        claimed
          ? Effect.ignore(Exit.isSuccess(exit) ? discard(recordingId) : giveBack(recordingId), { log: "Warn" })
          : Effect.void
    )
    // Another user's, another part's, used up, and never there are told apart by nobody.
    const gone = InvalidRequest.field(field, `is no ${part} of yours that is still waiting`)
    if (!claimed) return yield* gone
    return yield* objects.get(keyOf(recordingId)).pipe(
      Effect.flatMap(({ body }) => files.keep(field, body)),
      Effect.catchTag("ObjectNotFound", () => Effect.fail(gone))
    )
  })

  const sweep = Effect.fn("Recordings.sweep")(function*(nowMillis: number) {
    for (let count = 0;;) {
      const due = yield* sql<{ readonly recording_id: RecordingId }>`SELECT recording_id FROM recordings
        WHERE expires_at <= ${nowMillis - takenMillisMax} OR (expires_at <= ${nowMillis} AND state = 'waiting')
        ORDER BY expires_at LIMIT ${sql.literal(String(sweepRows))}`
      if (due.length === 0) return count
      for (const { recording_id } of due) {
        yield* objects.removeAll(folderOf(recording_id))
        yield* sql`DELETE FROM recordings WHERE recording_id = ${recording_id}`
        count++
      }
    }
  }, orUnavailable)

  const erase = Effect.fn("Recordings.erase")(function*({ tenantId, userId }: RecordingOwner) {
    for (let count = 0;;) {
      const theirs = yield* sql<{ readonly recording_id: RecordingId }>`SELECT recording_id FROM recordings
        WHERE tenant_id = ${tenantId} AND user_id = ${userId} LIMIT ${sql.literal(String(sweepRows))}`
      if (theirs.length === 0) return count
      for (const { recording_id } of theirs) yield* discard(recording_id)
      count += theirs.length
    }
  }, orUnavailable)

  const count = ({ tenantId, userId }: RecordingOwner) =>
    orUnavailable(Effect.map(
      sql<{ readonly n: number }>`SELECT COUNT(*) AS n FROM recordings
        WHERE tenant_id = ${tenantId} AND user_id = ${userId}`,
      ([row]) => Number(row!.n)
    ))

  return Recordings.of({ keep, take, erase, count, discard, sweep })
})

const folderOf = (recordingId: RecordingId) => `scaispeak/recordings/${recordingId}/`
const keyOf = (recordingId: RecordingId) => `${folderOf(recordingId)}clip.wav`
