/** Jobs: texts that are spoken later. */
import { Effect, Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Backend } from "../../domain/BackendPolicy.ts"
import { JobId, SynthesisId, VoiceId } from "../../domain/Ids.ts"
import { JobStatus, Saved } from "../../domain/Job.ts"
import { Requires } from "./Caller.ts"
import { failures, Ok, Page } from "./Wire.ts"

/** The reply of `POST /speak` for a text that becomes a job. */
export const Accepted = Schema.Struct({
  job_id: JobId,
  status: Schema.Literal("queued"),
  characters: Schema.Natural,
  status_url: Schema.String,
  expires_at: Schema.DateTimeUtcFromString
})

/** Durations in ms, characters in code points. */
export const JobRecord = Schema.Struct({
  job_id: JobId,
  synthesis_id: SynthesisId,
  voice_id: VoiceId,
  status: JobStatus,
  status_reason: Schema.NullOr(Schema.String),
  error_code: Schema.NullOr(Schema.String),
  characters: Schema.Natural,
  progress: Schema.Struct({
    segments_done: Schema.Natural,
    segments_total: Schema.Natural.annotate({ description: "0 until the text was cut." }),
    characters_done: Schema.Natural,
    audio_ms: Schema.Natural
  }),
  backend_used: Schema.NullOr(Backend),
  attempts: Schema.Natural,
  created_at: Schema.DateTimeUtcFromString,
  started_at: Schema.NullOr(Schema.DateTimeUtcFromString),
  finished_at: Schema.NullOr(Schema.DateTimeUtcFromString),
  expires_at: Schema.DateTimeUtcFromString,
  audio_uri: Schema.NullOr(Schema.String).annotate({ description: "The file's key in the object store." }),
  audio_url: Schema.NullOr(Schema.String).annotate({ description: "Where it is fetched, with the same token." }),
  audio_duration_ms: Schema.NullOr(Schema.Natural),
  save_to: Schema.NullOr(Saved)
})

const limit = Schema.FiniteFromString.check(
  Schema.isInt(),
  Schema.isBetween({ minimum: 1, maximum: 200 })
).annotate({ description: "1 to 200; 50 when absent." })

const params = { job_id: Schema.String }
const notThere = ["SCAISPEAK_JOB_NOT_FOUND", "SCAISPEAK_JOB_NOT_FINISHED", "SCAISPEAK_JOB_EXPIRED"] as const
const silenced = [
  "MODULE_NOT_ENABLED",
  "SCAISPEAK_VOICE_NOT_FOUND",
  "SCAISPEAK_VOICE_NOT_READY",
  "SCAISPEAK_VOICE_LICENSE_EXPIRED"
] as const

export class Jobs extends HttpApiGroup.make("jobs").add(
  HttpApiEndpoint.get("listJobs", "/speak/jobs", {
    query: {
      status: Schema.optionalKey(JobStatus),
      limit: limit.pipe(Schema.withDecodingDefaultKey(Effect.succeed("50"))),
      cursor: Schema.optionalKey(Schema.String.check(Schema.isMaxLength(1000)))
    },
    success: Ok(Page(JobRecord)),
    error: failures()
  }).annotate(Requires, "scaispeak:synthesize").annotateMerge(OpenApi.annotations({
    summary: "List jobs",
    description: "The caller's own, newest first."
  })),
  HttpApiEndpoint.get("getJob", "/speak/jobs/:job_id", {
    params,
    success: Ok(JobRecord),
    error: failures("SCAISPEAK_JOB_NOT_FOUND")
  }).annotate(Requires, "scaispeak:synthesize").annotateMerge(OpenApi.annotations({
    summary: "Get a job",
    description: "Where it stands and how far it has come. Another user's job is absent."
  })),
  HttpApiEndpoint.delete("cancelJob", "/speak/jobs/:job_id", {
    params,
    success: Ok(JobRecord),
    error: failures("SCAISPEAK_JOB_NOT_FOUND")
  }).annotate(Requires, "scaispeak:synthesize").annotateMerge(OpenApi.annotations({
    summary: "Cancel a job",
    description: "Stops what is being spoken of it, wherever that is. One that has ended stays as it is."
  })),
  HttpApiEndpoint.get("getJobAudio", "/speak/jobs/:job_id/audio", {
    params,
    headers: { range: Schema.optionalKey(Schema.String), "if-range": Schema.optionalKey(Schema.String) },
    success: HttpApiSchema.StreamUint8Array({ contentType: "audio/*" }),
    error: failures(...notThere, ...silenced)
  }).annotate(Requires, "scaispeak:synthesize").annotateMerge(OpenApi.annotations({
    summary: "Get the audio of a job",
    description:
      "409 until it is there, 410 once it has expired. One `Range` of bytes is honoured, with 206. A voice that must not speak any more is not heard here either."
  })),
  HttpApiEndpoint.get("getJobTimings", "/speak/jobs/:job_id/timings", {
    params,
    success: HttpApiSchema.StreamUint8Array({ contentType: "application/json" }),
    error: failures(...notThere, ...silenced)
  }).annotate(Requires, "scaispeak:synthesize").annotateMerge(OpenApi.annotations({
    summary: "Get when what is said in a job's audio",
    description:
      "`{job_id, audio_duration_ms, sample_rate, chapters: [{title, start_ms}], words: [{text, start_ms, end_ms, source}]}`, without an envelope: it may be large."
  })),
  HttpApiEndpoint.get("followJob", "/speak/jobs/:job_id/events", {
    params,
    headers: { "last-event-id": Schema.optionalKey(Schema.String.check(Schema.isMaxLength(40))) },
    success: HttpApiSchema.StreamUint8Array({ contentType: "text/event-stream" }),
    error: failures("SCAISPEAK_JOB_NOT_FOUND")
  }).annotate(Requires, "scaispeak:synthesize").annotateMerge(OpenApi.annotations({
    summary: "Follow a job",
    description:
      "Server-sent events `progress`, whose data is the job as `GET` has it, and `end` for the last one. An event's id is the state that it tells: with `Last-Event-ID` only what came after it is told. Events tell states, not steps: what passed between two looks is in the next one."
  }))
) {}
