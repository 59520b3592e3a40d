/**
 * Writes usage and audit rows behind the calls that they are about.
 *
 * A row is handed over in memory and written with others in one commit. While the database is away rows wait and are tried
 * again; none is lost or written twice. When 10 000 wait, a caller waits too: bookkeeping is worth more than pace. When
 * the service stops, what waits is written for up to 10 s; rows left then are lost and counted in the log.
 */
import { Cause, Clock, Context, Effect, Fiber, Layer, Queue, Schedule } from "effect"
import type { Duration } from "effect"
import { SqlClient } from "effect/sql"
import type { StorageUnavailable } from "../domain/Failure.ts"
import { orUnavailable } from "./Database.ts"
import { makeId } from "./Ids.ts"
import { auditEntry, insert, usageEntry } from "./sql/LedgerRows.ts"
import type { AuditEntry, Entry, UsageRecord } from "./sql/LedgerRows.ts"

export type { AuditEntry, UsageRecord } from "./sql/LedgerRows.ts"

const waitingMax = 10_000
/** Rows of one commit. */
const batchMax = 512
const stopLimit: Duration.Input = "10 seconds"

/** From 100 ms, doubling to 5 s, without end. */
const backoff = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])

export class Ledger extends Context.Service<Ledger, {
  /** One row a synthesis: a second one with the same id is ignored. */
  readonly usage: (record: UsageRecord) => Effect.Effect<void>
  /** What a synthesis has come to so far, or in the end: one row, of which the last word stands. */
  readonly restate: (record: UsageRecord) => Effect.Effect<void>
  readonly audit: (entry: AuditEntry) => Effect.Effect<void>
  /** Rows that are not written yet. */
  readonly depth: Effect.Effect<number>
}>()("scaispeak/Ledger") {
  static readonly layer = Layer.effect(
    Ledger,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const waiting = yield* Queue.bounded<Entry, Cause.Done>(waitingMax)
      let writing = 0

      // Said once for an outage, however often it is tried.
      let away = false
      const failed = (failure: StorageUnavailable) =>
        Effect.suspend(() => {
          if (away) return Effect.void
          away = true
          return Effect.logWarning("the ledger waits for the database", { reason: `${failure.cause}` })
        })
      const written = Effect.suspend(() => {
        if (!away) return Effect.void
        away = false
        return Effect.logInfo("the ledger writes again")
      })
      const write = (batch: ReadonlyArray<Entry>) =>
        insert(sql, batch).pipe(orUnavailable, Effect.tapError(failed), Effect.retry(backoff), Effect.andThen(written))
      // One row that can never be written must not hold up or take along the others of its batch.
      const writeApart = (batch: ReadonlyArray<Entry>, cause: Cause.Cause<unknown>) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.failCause(cause as Cause.Cause<never>)
          : Effect.forEach(batch, (entry) =>
            Effect.catchDefect(write([entry]), (defect) =>
              Effect.logError("a ledger row was refused", { ...entry.row, reason: `${defect}` })), {
            discard: true
          })

      const drain = Effect.gen(function*() {
        while (true) {
          const batch = yield* Queue.takeBetween(waiting, 1, batchMax)
          writing = batch.length
          yield* Effect.catchCause(write(batch), (cause) => writeApart(batch, cause))
          writing = 0
        }
      })
      const depth = Effect.sync(() => Queue.sizeUnsafe(waiting) + writing)

      const drained = yield* Effect.forkScoped(Effect.ignore(drain))
      yield* Effect.addFinalizer(() =>
        Queue.end(waiting).pipe(
          Effect.andThen(Effect.interruptible(Fiber.await(drained))),
          Effect.timeoutOrElse({
            duration: stopLimit,
            orElse: () =>
              Effect.flatMap(depth, (rows) => Effect.logError("ledger rows were lost at the stop", { rows }))
          })
        )
      )

      const put = (entry: Entry) =>
        Effect.flatMap(
          Queue.offer(waiting, entry),
          (taken) => taken ? Effect.void : Effect.logError("a ledger row came after the stop", entry.row)
        )

      return Ledger.of({
        usage: (record) => put(usageEntry(record, "stays")),
        restate: (record) => put(usageEntry(record, "gives way")),
        audit: (entry) =>
          Effect.flatMap(
            makeId("aud"),
            (id) => Effect.flatMap(Clock.currentTimeMillis, (now) => put(auditEntry(id, entry, now)))
          ),
        depth
      })
    })
  )
}
