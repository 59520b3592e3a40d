/** What has to be done now and then whoever calls: kept replies and live recordings that ran out, blobs of nobody, and the months ahead of the job table. */
import { Clock, Effect, Layer, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import { orUnavailable } from "../services/Database.ts"
import { Idempotency } from "../services/Idempotency.ts"
import { PendingBlobs } from "../services/PendingBlobs.ts"
import { Recordings } from "../services/Recordings.ts"
import { ensurePartitions } from "../services/sql/Partitions.ts"

/** Any number of processes may do it at once; each does it this often, beginning when it starts. */
const every = "1 hour"

export const layer = Layer.effectDiscard(
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const { sweep } = yield* Idempotency
    const pending = yield* PendingBlobs
    const recordings = yield* Recordings
    const round = Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      yield* orUnavailable(Effect.provideService(ensurePartitions(now), SqlClient.SqlClient, sql))
      const swept = yield* sweep(now)
      if (swept > 0) yield* Effect.logInfo("kept replies ran out", { swept })
      const expired = yield* recordings.sweep(now)
      if (expired > 0) yield* Effect.logInfo("live recordings ran out", { expired })
      const cleared = yield* pending.sweep(now)
      if (cleared > 0) yield* Effect.logInfo("folders of blobs that nothing names were cleared", { cleared })
    })
    yield* round.pipe(
      Effect.catchCause((cause) => Effect.logWarning("housekeeping is put off", cause)),
      Effect.repeat(Schedule.spaced(every)),
      Effect.forkScoped
    )
  })
)
