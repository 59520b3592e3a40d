/** Jobs: where they stand, what they made, and their end. */
import { Effect, Option, Schema } from "effect"
import { HttpServerResponse } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { JobExpired, JobNotFinished, JobNotFound } from "../../domain/Failure.ts"
import { JobId } from "../../domain/Ids.ts"
import { timingsKeyOf } from "../../domain/Job.ts"
import type { AuthUser } from "../../domain/Permission.ts"
import { JobRepo } from "../../services/JobRepo.ts"
import { ObjectStore } from "../../services/ObjectStore.ts"
import { Signals } from "../../services/Signals.ts"
import { Synthesis } from "../../services/Synthesis.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import { byteRange, rangeHeaders } from "../ByteRange.ts"
import * as Envelope from "../Envelope.ts"
import { follow } from "../JobEvents.ts"
import { record } from "../JobView.ts"

const decode = Schema.decodeUnknownOption(JobId)

/** An id of another shape names no job either. */
const named = Effect.fnUntraced(function*(params: { readonly job_id: string }) {
  const caller = yield* Caller
  caller.resourceId = params.job_id
  const id = decode(params.job_id)
  return Option.isNone(id) ? yield* new JobNotFound() : { id: id.value, user: caller.user }
})

export const layer = HttpApiBuilder.group(
  Api,
  "jobs",
  Effect.fnUntraced(function*(handlers) {
    const jobs = yield* JobRepo
    const objects = yield* ObjectStore
    const signals = yield* Signals
    const synthesis = yield* Synthesis

    /** The key of a job's audio, if it is there and its voice may be heard. */
    const audioOf = Effect.fnUntraced(function*(user: AuthUser, id: JobId) {
      const { audioUri, status, voiceId } = yield* jobs.find(user, id)
      if (status !== "completed") return yield* new JobNotFinished({ status })
      if (audioUri === null) return yield* new JobExpired()
      yield* synthesis.permit(user, voiceId)
      return audioUri
    })

    const answer = Effect.fnUntraced(
      function*(key: string, headers: { readonly range?: string; readonly "if-range"?: string }) {
        const facts = yield* objects.head(key)
        const range = byteRange(headers.range, headers["if-range"], facts)
        const { body } = yield* objects.get(key, range)
        return HttpServerResponse.stream(body, {
          status: range === undefined ? 200 : 206,
          contentType: facts.contentType,
          contentLength: range?.length ?? facts.size,
          headers: { ...rangeHeaders(range, facts), "cache-control": "private, no-store" }
        })
      },
      // It was removed since the row was read.
      Effect.catchTag("ObjectNotFound", () => new JobExpired())
    )

    return handlers.handleAll({
      listJobs: Effect.fnUntraced(function*({ query }) {
        const { user } = yield* Caller
        const { items, nextCursor } = yield* jobs.list(user, query)
        return yield* Envelope.page(items.map(record), nextCursor)
      }, Envelope.answerFailures),

      getJob: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(record(yield* jobs.find(user, id)))
      }, Envelope.answerFailures),

      cancelJob: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(record(yield* jobs.cancel(user, id)))
      }, Envelope.answerFailures),

      getJobAudio: Effect.fnUntraced(function*({ headers, params }) {
        const { id, user } = yield* named(params)
        return yield* answer(yield* audioOf(user, id), headers)
      }, Envelope.answerFailures),

      getJobTimings: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        return yield* answer(timingsKeyOf(yield* audioOf(user, id)), {})
      }, Envelope.answerFailures),

      followJob: Effect.fnUntraced(function*({ headers, params }) {
        const { id, user } = yield* named(params)
        const job = yield* jobs.find(user, id)
        const seen = /^\d{1,15}$/u.test(headers["last-event-id"] ?? "") ? Number(headers["last-event-id"]) : -1
        return HttpServerResponse.stream(follow(jobs, signals, user, job, seen), {
          contentType: "text/event-stream",
          headers: { "cache-control": "no-store", "x-accel-buffering": "no" }
        })
      }, Envelope.answerFailures)
    })
  })
)
