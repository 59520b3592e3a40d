/**
 * Clips of erased recordings, kept out of the reference caches of every process.
 *
 * The process that erases drops them here and tells the others. One that was not told, because it did not run or Redis was
 * away, looks for itself: when it starts, whenever it may have missed a signal, and every hour.
 */
import { Clock, Context, Effect, Layer, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import type { StorageUnavailable } from "../domain/Failure.ts"
import { orUnavailable } from "./Database.ts"
import { ReferenceCache } from "./ReferenceCache.ts"
import { onSignal, Signals } from "./Signals.ts"
import { overwrite } from "./sql/Dialect.ts"

const lookEvery = "1 hour"
/** Between two looks a row may be written with the time of a clock that is behind. */
const overlapMillis = 600_000
/** Names in one `IN (…)`. */
const namesMax = 500

export class ErasedClips extends Context.Service<ErasedClips, {
  /** Drops the clips, by SHA-256 of their recordings, in this process and, once they are told, in the others; says how many were here. */
  readonly erase: (sha256s: ReadonlyArray<string>) => Effect.Effect<number, StorageUnavailable>
}>()("scaispeak/ErasedClips") {
  static readonly layer = Layer.effect(
    ErasedClips,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const cache = yield* ReferenceCache
      const signals = yield* Signals

      const drop = Effect.fnUntraced(function*(sha256s: ReadonlyArray<string>) {
        const held = new Set(cache.held())
        // One that is just being fetched is not held yet.
        yield* Effect.forEach(sha256s, cache.drop, { discard: true })
        return sha256s.filter((sha256) => held.has(sha256)).length
      })

      let lookedAt = 0
      const look = Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        const held = cache.held()
        for (let i = 0; i < held.length; i += namesMax) {
          const rows = yield* orUnavailable(sql<{ readonly sha256: string }>`SELECT sha256 FROM erased_clips
            WHERE ${sql.in("sha256", held.slice(i, i + namesMax))} AND erased_at >= ${lookedAt - overlapMillis}`)
          yield* drop(rows.map(({ sha256 }) => sha256))
        }
        lookedAt = now
      })
      const quietly = Effect.ignore({ log: "Warn" })

      const tellOthers = yield* onSignal(
        signals,
        "clips.erased",
        (signal) => quietly(signal._tag === "Resync" ? look : drop(signal.payload.sha256s))
      )
      yield* look.pipe(quietly, Effect.repeat(Schedule.spaced(lookEvery)), Effect.forkScoped)

      return ErasedClips.of({
        erase: Effect.fn("ErasedClips.erase")(function*(sha256s) {
          if (sha256s.length === 0) return 0
          const now = yield* Clock.currentTimeMillis
          yield* orUnavailable(
            sql.withTransaction(
              Effect.forEach(
                sha256s,
                (sha256) =>
                  sql`INSERT INTO erased_clips ${sql.insert({ sha256, erased_at: now })} ${
                    overwrite(sql, ["sha256"], ["erased_at"])
                  }`,
                {
                  discard: true
                }
              )
            )
          )
          const dropped = yield* drop(sha256s)
          yield* tellOthers({ sha256s })
          return dropped
        })
      })
    })
  )
}
