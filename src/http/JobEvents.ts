/**
 * A job as a stream of server-sent events, each a state of it, until it has ended.
 *
 * The row is looked at every second, and at once when its status was said to have changed; whichever process runs the job,
 * the follower is told. A look that fails is passed over: the next one tells.
 */
import { Clock, Effect, Option, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import { isEnded } from "../domain/Job.ts"
import type { Job } from "../domain/Job.ts"
import type { AuthUser } from "../domain/Permission.ts"
import type { JobRepo } from "../services/JobRepo.ts"
import type { Signals } from "../services/Signals.ts"
import { JobRecord } from "./api/Jobs.ts"
import { record } from "./JobView.ts"

const lookEveryMillis = 1000
/** Something is sent so often, so that no proxy takes the connection for dead, ms. */
const quietMillisMax = 15_000

const encodeRecord = Schema.encodeSync(Schema.fromJsonString(JobRecord))
const bytes = (text: string) => Buffer.from(text)

const eventOf = (job: Job): Uint8Array =>
  bytes(Sse.encoder.write({
    _tag: "Event",
    id: String(job.revision),
    event: isEnded(job.status) ? "end" : "progress",
    data: encodeRecord(record(job))
  }))

/** `seen`: the revision that the follower has, -1 for none. `first`: the job as it was just read. */
export const follow = (
  jobs: JobRepo["Service"],
  signals: Signals["Service"],
  user: AuthUser,
  first: Job,
  seen: number
): Stream.Stream<Uint8Array> =>
  Stream.unwrap(Effect.gen(function*() {
    const { signals: changes } = yield* signals.subscribe("job.changed")
    const told = changes.pipe(
      Stream.filter((signal) => signal._tag === "Resync" || signal.payload.jobId === first.jobId),
      Stream.map(() => undefined)
    )
    let last = seen
    let saidAt = yield* Clock.currentTimeMillis
    const say = Effect.fnUntraced(function*(job: Job | undefined) {
      const now = yield* Clock.currentTimeMillis
      if (job !== undefined && job.revision > last) {
        last = job.revision
        saidAt = now
        return [eventOf(job)]
      }
      if (now - saidAt < quietMillisMax) return []
      saidAt = now
      return [bytes(": still here\n\n")]
    })
    const look = Effect.map(Effect.option(jobs.find(user, first.jobId)), Option.getOrUndefined)
    const looks = Stream.merge(told, Stream.fromEffectRepeat(Effect.sleep(lookEveryMillis))).pipe(
      Stream.mapEffect(() => look)
    )
    return Stream.concat(Stream.succeed<Job | undefined>(first), looks).pipe(
      Stream.takeUntil((job) => job !== undefined && isEnded(job.status)),
      Stream.mapEffect(say),
      Stream.flattenIterable
    )
  }))
