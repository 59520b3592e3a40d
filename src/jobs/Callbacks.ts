/**
 * Tells whoever asked for it that a job has ended: a few fibers of their own, in any number of processes, so that a receiver
 * that is slow or gone keeps no job waiting. Tenants take turns, and no receiver has more than a share of the fibers.
 *
 * What is sent is the job as its owner sees it, never text or audio, in the form of Standard Webhooks. One that does not take
 * it is tried again, under the same id; a process that dies in between is followed by another when its lease has run out, so
 * that a receiver may hear the same twice and never nothing.
 */
import { Cause, Clock, DateTime, Effect, Layer, Metric, Schema, Semaphore, Stream } from "effect"
import { askedMillis, callbackAttemptsMax, callbackWaitMillis, messageIdOf, verdictOf } from "../domain/Callback.ts"
import type { Verdict } from "../domain/Callback.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { JobId } from "../domain/Ids.ts"
import type { Job } from "../domain/Job.ts"
import { EndedJobRecord, endedRecordOf } from "../domain/JobRecord.ts"
import { JobCallbacks } from "../services/JobCallbacks.ts"
import { JobQueue, PutOff } from "../services/JobQueue.ts"
import { SafeHttp } from "../services/SafeHttp.ts"
import { Webhooks } from "../services/Webhooks.ts"
import { Receivers } from "./Callbacks/Receivers.ts"
import { insist } from "./Insist.ts"

export interface CallbacksOptions {
  /** Where the module is mounted. */
  readonly mount: string
  readonly callbacks: {
    /** Calls at once in this process; 0: none. */
    readonly concurrency: number
    /** Of one call, from the connection to the last byte of the answer. */
    readonly timeoutMs: number
  }
}

/** An answer is read to its end, so that the receiver is not cut off, if it is no longer than this; what it says is nothing to us. */
const answerBytesMax = 1 << 16
/** While the database is away nothing can be taken. */
const restMillis = 1000
/** One receiver has a quarter of the calls at once, and at least one: three that hang leave a quarter to all others. */
const sharesOfAll = 4

const callsTotal = Metric.counter("scaispeak_callbacks_total", {
  description: "Calls to callback_url, by what they came to",
  incremental: true
})
const outcomes = { delivered: "delivered", again: "put_off", never: "given_up" } as const
const counted = (verdict: Verdict) =>
  Metric.update(Metric.withAttributes(callsTotal, { outcome: outcomes[verdict] }), 1)

interface Outcome {
  readonly verdict: Verdict
  readonly error: string | null
  /** How long the receiver wants to be left alone, ms. */
  readonly asked?: number | undefined
}

/** The queue hands it out again. */
class TryAgain extends Schema.TaggedError<TryAgain>()("TryAgain", {}) {}

const Body = Schema.fromJsonString(Schema.Struct({
  type: Schema.Literals(["job.completed", "job.failed", "job.canceled"]),
  timestamp: Schema.DateTimeUtcFromString,
  data: EndedJobRecord
}))
const encodeBody = Schema.encodeEffect(Body)

export const layer = ({ callbacks: { concurrency, timeoutMs }, mount }: CallbacksOptions) =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const queue = yield* JobQueue
      const callbacks = yield* JobCallbacks
      const webhooks = yield* Webhooks
      const http = yield* SafeHttp
      const receivers = new Receivers(Math.max(1, Math.floor(concurrency / sharesOfAll)))

      /** The same for every attempt. */
      const bodyOf = (job: Job) =>
        Effect.map(
          Effect.orDie(encodeBody({
            type: `job.${job.status}` as "job.completed",
            timestamp: DateTime.makeUnsafe(job.finishedAt!),
            data: endedRecordOf(mount, job)
          })),
          (text) => Buffer.from(text)
        )

      /** The status of the answer, and how long it asks to be left alone. */
      const send = Effect.fnUntraced(function*(job: Job, url: string) {
        const body = yield* bodyOf(job)
        const timestamp = Math.floor((yield* Clock.currentTimeMillis) / 1000)
        const signed = yield* webhooks.sign(job.tenantId, url, { id: messageIdOf(job.jobId), timestamp, body })
        const answer = yield* http.request({
          url,
          method: "POST",
          headers: { ...signed, "content-type": "application/json" },
          body,
          bytesMax: answerBytesMax,
          timeoutMs
        })
        const asked = askedMillis(answer.status, first(answer.headers["retry-after"]), yield* Clock.currentTimeMillis)
        yield* Effect.ignore(Stream.runDrain(answer.body))
        return { status: answer.status, asked }
      }, Effect.scoped)

      /** What came of an attempt, and why it is not delivered. */
      const attempt = (job: Job, url: string, attempts: number): Effect.Effect<Outcome, StorageUnavailable> =>
        send(job, url).pipe(
          Effect.map(({ asked, status }) => {
            const verdict = verdictOf(status, attempts)
            return { verdict, error: verdict === "delivered" ? null : `It answered ${status}.`, asked }
          }),
          Effect.catchTags({
            CallbackRefused: ({ reason }) => Effect.succeed({ verdict: laterOr(attempts), error: reason }),
            OutboundFailed: ({ reason }) =>
              Effect.succeed({ verdict: laterOr(attempts), error: `The address ${reason}.` })
          })
        )

      /** Put off where the receiver has no place for it now, which is no attempt. */
      const inItsPlace = (job: Job, url: string, attempts: number) =>
        Effect.acquireUseRelease(
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            const entered = receivers.enter(new URL(url).origin, job.tenantId, now)
            return "place" in entered
              ? Effect.succeed(entered.place)
              : Effect.fail(new PutOff({ millis: entered.againAfterMillis, counts: false }))
          }),
          () => attempt(job, url, attempts),
          (place) => Effect.sync(() => receivers.leave(place))
        )

      const handle = Effect.fn("Callbacks.handle")(function*(jobId: JobId, attempts: number) {
        const found = yield* insist(callbacks.find(jobId))
        if (found === undefined) return
        const { asked, error, verdict } = yield* inItsPlace(found.job, found.url, attempts)
        const status = { delivered: "delivered", again: "pending", never: "failed" } as const
        yield* insist(callbacks.note(jobId, { status: status[verdict], attempts, error }))
        yield* counted(verdict)
        if (verdict === "never") yield* Effect.logWarning("a callback was given up", { job_id: jobId, attempts, error })
        if (verdict !== "again") return
        return yield* asked === undefined
          ? new TryAgain()
          : new PutOff({ millis: callbackWaitMillis(attempts, asked), counts: true })
      })

      /** One fiber at a time waits for the next; the others have something in hand. */
      const waiting = yield* Semaphore.make(1)
      const next = Effect.suspend(() => {
        let waits = true
        const letOthers = Effect.suspend(() => {
          if (!waits) return Effect.void
          waits = false
          return waiting.release(1)
        })
        const taken = queue.take(
          "callbacks",
          (jobId, attempts) => Effect.andThen(letOthers, handle(jobId, attempts))
        )
        return Effect.uninterruptibleMask((restore) =>
          Effect.andThen(restore(waiting.take(1)), Effect.ensuring(restore(taken), letOthers))
        )
      })
      const serve = next.pipe(
        Effect.catchCause((cause) => {
          if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause as Cause.Cause<never>)
          const expected = cause.reasons.every((reason) =>
            Cause.isFailReason(reason) && (reason.error instanceof TryAgain || reason.error instanceof PutOff)
          )
          return expected ? Effect.void : Effect.andThen(
            Effect.logWarning("no callback can be taken or noted now", cause),
            Effect.sleep(restMillis)
          )
        }),
        Effect.forever
      )
      for (let i = 0; i < concurrency; i++) yield* Effect.forkScoped(serve)
    })
  )

const first = (header: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof header === "object" ? header[0] : header

const laterOr = (attempts: number): Verdict => attempts < callbackAttemptsMax ? "again" : "never"
