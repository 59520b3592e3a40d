/**
 * What has to be done now and then whoever calls: kept replies, live recordings and jobs that ran out, blobs of nobody, and
 * the months of the job table.
 */
import { Clock, Effect, Layer, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import { orUnavailable } from "../services/Database.ts"
import { Idempotency } from "../services/Idempotency.ts"
import { JobExpiry } from "../services/JobExpiry.ts"
import { PendingBlobs } from "../services/PendingBlobs.ts"
import { Recordings } from "../services/Recordings.ts"
import { ensurePartitions } from "../services/sql/Partitions.ts"

/** Any number of processes may do it at once; each does it this often, beginning when it starts. */
const every = "1 hour"

/** `retentionMs`: how long the rows of jobs are kept. */
export const layer = ({ retentionMs }: { readonly retentionMs: number }) =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { sweep } = yield* Idempotency
      const pending = yield* PendingBlobs
      const recordings = yield* Recordings
      const jobs = yield* JobExpiry
      const round = Effect.gen(function*() {
        const now = yield* Clock.currentTimeMillis
        yield* orUnavailable(Effect.provideService(ensurePartitions(now), SqlClient.SqlClient, sql))
        const swept = yield* sweep(now)
        if (swept > 0) yield* Effect.logInfo("kept replies ran out", { swept })
        const unused = yield* recordings.sweep(now)
        if (unused > 0) yield* Effect.logInfo("live recordings ran out", { unused })
        const expired = yield* jobs.sweep(now)
        if (expired > 0) yield* Effect.logInfo("jobs ran out", { expired })
        const retired = yield* jobs.retire(now - retentionMs)
        if (retired > 0) yield* Effect.logInfo("rows of old jobs were dropped", { retired })
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
