/**
 * Blobs and the row that names them appear together or not at all.
 *
 * Before the first blob is put, a row here names the folder that they go to; the transaction that writes what names them
 * removes it. Whoever dies in between leaves the row, and the sweeper clears the folder. What fails or is abandoned clears
 * it at once. A folder that is doomed can no longer be committed to, however slow its owner is; it is cleared a second time
 * an hour later, for a put that was on its way when it was doomed.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Clock, Context, Effect, Exit, Layer, type Stream } from "effect"
import { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql"
import { randomUUID } from "node:crypto"
import { createReadStream } from "node:fs"
import { StorageUnavailable } from "../domain/Failure.ts"
import type { ClipFile } from "./ClipFile.ts"
import { orUnavailable } from "./Database.ts"
import { ObjectStore } from "./ObjectStore.ts"
import { affected } from "./sql/Dialect.ts"

/** Longer than any intake takes: its puts fail after 15 s in which nothing moves. */
const openMillisMax = 3_600_000
const doomedMillis = 3_600_000
/** Rows that a sweep takes at a time. */
const sweepRows = 100

export interface NewBlob {
  readonly key: string
  readonly contentType: string
  readonly body: Uint8Array | Stream.Stream<Uint8Array, StorageUnavailable>
}

export class PendingBlobs extends Context.Service<PendingBlobs, {
  /**
   * Puts the blobs, whose keys begin with `prefix`, and runs `commit` in a transaction. Nobody else puts anything there.
   * Unless it succeeds nothing is left; only a database that is lost in the middle of its commit decides by itself.
   */
  readonly storing: <A, E>(
    prefix: string,
    blobs: ReadonlyArray<NewBlob>,
    commit: Effect.Effect<A, E | SqlError.SqlError>
  ) => Effect.Effect<A, Exclude<E, SqlError.SqlError> | StorageUnavailable>
  /** Has a folder cleared that nothing names any more, once this is committed and `afterMillis` have passed. Joins a transaction. */
  readonly discard: (prefix: string, afterMillis: number) => Effect.Effect<void, StorageUnavailable>
  /** Clears what is due by `nowMillis`; says how many folders. Any number of processes may sweep. */
  readonly sweep: (nowMillis: number) => Effect.Effect<number, StorageUnavailable>
}>()("scaispeak/PendingBlobs") {
  static readonly layer = Layer.effect(
    PendingBlobs,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const objects = yield* ObjectStore

      const note = (prefix: string, state: "open" | "doomed", afterMillis: number) =>
        Effect.gen(function*() {
          const pendingId = randomUUID()
          const due_at = (yield* Clock.currentTimeMillis) + afterMillis
          yield* sql`INSERT INTO pending_blobs ${
            sql.insert({ pending_id: pendingId, object_prefix: prefix, state, due_at })
          }`
          return pendingId
        })

      /** Whether the folder was still open; from now on nobody can commit to it. */
      const doom = (pendingId: string, nowMillis: number) =>
        Effect.map(
          affected(sql`UPDATE pending_blobs SET state = 'doomed', due_at = ${nowMillis + doomedMillis}
            WHERE pending_id = ${pendingId} AND state = 'open'`),
          (rows) => rows === 1
        )
      const remove = (pendingId: string) => sql`DELETE FROM pending_blobs WHERE pending_id = ${pendingId}`

      const clear = Effect.fn("PendingBlobs.clear")(
        function*(pendingId: string, prefix: string, mayStillCome: boolean) {
          // One that is not open any more was committed.
          if (!(yield* doom(pendingId, yield* Clock.currentTimeMillis))) return
          yield* objects.removeAll(prefix)
          if (!mayStillCome) yield* remove(pendingId)
        },
        orUnavailable
      )

      const storing = <A, E>(
        prefix: string,
        blobs: ReadonlyArray<NewBlob>,
        commit: Effect.Effect<A, E | SqlError.SqlError>
      ) => {
        /** A put that was cut off may have reached the store all the same. */
        let putting = false
        const put = ({ body, contentType, key }: NewBlob) =>
          Effect.gen(function*() {
            putting = true
            yield* objects.put(key, body, { contentType })
            putting = false
          })
        const commitTo = Effect.fnUntraced(
          function*(pendingId: string) {
            const open = yield* affected(sql`DELETE FROM pending_blobs
            WHERE pending_id = ${pendingId} AND state = 'open'`)
            return open === 1 ? yield* commit : yield* tooSlow
          },
          sql.withTransaction,
          orUnavailable
        )
        return Effect.acquireUseRelease(
          orUnavailable(note(prefix, "open", openMillisMax)),
          (pendingId) => Effect.andThen(Effect.forEach(blobs, put, { discard: true }), commitTo(pendingId)),
          (pendingId, exit) =>
            Exit.isSuccess(exit)
              ? Effect.void
              : Effect.ignore(clear(pendingId, prefix, putting), { log: "Warn" })
        )
      }

      const sweep = Effect.fn("PendingBlobs.sweep")(function*(nowMillis: number) {
        for (let count = 0;;) {
          const due = yield* sql<{ pending_id: string; object_prefix: string; state: "open" | "doomed" }>`
            SELECT pending_id, object_prefix, state FROM pending_blobs WHERE due_at <= ${nowMillis}
            ORDER BY due_at LIMIT ${sql.literal(String(sweepRows))}`
          if (due.length === 0) return count
          for (const { object_prefix, pending_id, state } of due) {
            if (state === "open" && !(yield* doom(pending_id, nowMillis))) continue
            yield* objects.removeAll(object_prefix)
            if (state === "doomed") yield* remove(pending_id)
            count++
          }
        }
      }, orUnavailable)

      return PendingBlobs.of({
        storing,
        discard: (prefix, afterMillis) => orUnavailable(Effect.asVoid(note(prefix, "doomed", afterMillis))),
        sweep
      })
    })
  )
}

const tooSlow = new StorageUnavailable({ store: "objects", cause: new Error("the blobs were swept before the commit") })

/** A clip on disk as a blob, read while it is put. */
export const blobOf = ({ path }: ClipFile, key: string, contentType: string): NewBlob => ({
  key,
  contentType,
  body: NodeStream.fromReadable({
    evaluate: () => createReadStream(path),
    onError: (cause) => new StorageUnavailable({ store: "objects", cause })
  })
})
