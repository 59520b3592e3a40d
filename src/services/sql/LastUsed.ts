/** Notes when keys were used, all of an interval's in one statement, behind the calls that used them. */
import { Clock, Effect, Schedule } from "effect"
import type { Scope } from "effect"
import { SqlClient } from "effect/sql"
import type { ApiKeyId } from "../../domain/Ids.ts"

const interval = "10 seconds"
/** Keys noted in an interval. More are not noted: the time of a key's use is a hint, and comes again with its next use. */
const notedMax = 10_000
/** Names in one `IN (…)`. */
const namesMax = 500

export interface LastUsed {
  readonly note: (keyId: ApiKeyId) => void
}

/** Written every 10 s and when the scope closes. While the database is away, notes are kept. */
export const makeLastUsed: Effect.Effect<LastUsed, never, SqlClient.SqlClient | Scope.Scope> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const noted = new Set<ApiKeyId>()

  const write = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    const ids = [...noted]
    for (let i = 0; i < ids.length; i += namesMax) {
      const some = ids.slice(i, i + namesMax)
      for (const id of some) noted.delete(id)
      yield* sql`UPDATE api_keys SET last_used_at = ${now}
        WHERE ${sql.in("key_id", some)} AND (last_used_at IS NULL OR last_used_at < ${now})`.pipe(
        Effect.onError(() => Effect.sync(() => some.forEach((id) => noted.add(id))))
      )
    }
  }).pipe(Effect.ignore({ log: "Debug", message: "the last use of keys could not be written" }))

  yield* Effect.addFinalizer(() => write)
  yield* Effect.forkScoped(Effect.repeat(Effect.delay(write, interval), Schedule.forever))
  return {
    note: (keyId) => {
      if (noted.size < notedMax) noted.add(keyId)
    }
  }
})
