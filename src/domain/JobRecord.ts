/** A job as it is shown: to its owner over HTTP, and to whoever it calls back. Durations in ms, characters in code points. */
import { DateTime, Schema } from "effect"
import { Backend } from "./BackendPolicy.ts"
import { CallbackStatus } from "./Callback.ts"
import { JobId, SynthesisId, VoiceId } from "./Ids.ts"
import { JobStatus, Saved } from "./Job.ts"
import type { Job } from "./Job.ts"

/** Told of a job at its end. */
export const EndedJobRecord = Schema.Struct({
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

export const JobRecord = Schema.Struct({
  ...EndedJobRecord.fields,
  callback: Schema.NullOr(Schema.Struct({
    url: Schema.NullOr(Schema.String).annotate({ description: "Null once the job has expired." }),
    status: CallbackStatus,
    attempts: Schema.Natural,
    last_error: Schema.NullOr(Schema.String)
  })).annotate({ description: "How telling `callback_url` of the end goes; null where none was given." })
})

const time = DateTime.makeUnsafe
const timeOrNull = (millis: number | null) => (millis === null ? null : time(millis))

/** `mount`: where the module is mounted. */
export const jobUrlOf = (mount: string, jobId: string): string => `${mount}/speak/jobs/${jobId}`

export const endedRecordOf = (mount: string, job: Job): typeof EndedJobRecord.Type => ({
  job_id: job.jobId,
  synthesis_id: job.synthesisId,
  voice_id: job.voiceId,
  status: job.status,
  status_reason: job.statusReason,
  error_code: job.errorCode,
  characters: job.characters,
  progress: {
    segments_done: job.segmentsDone,
    segments_total: job.segmentsTotal,
    characters_done: job.charactersDone,
    audio_ms: job.audioMs
  },
  backend_used: job.backendUsed,
  attempts: job.attempts,
  created_at: time(job.createdAt),
  started_at: timeOrNull(job.startedAt),
  finished_at: timeOrNull(job.finishedAt),
  expires_at: time(job.expiresAt),
  audio_uri: job.audioUri,
  audio_url: job.audioUri === null ? null : `${jobUrlOf(mount, job.jobId)}/audio`,
  audio_duration_ms: job.status === "completed" ? job.audioMs : null,
  save_to: job.saved
})

export const recordOf = (mount: string, job: Job): typeof JobRecord.Type => ({
  ...endedRecordOf(mount, job),
  callback: job.callback === null ? null : {
    url: job.callback.url,
    status: job.callback.status,
    attempts: job.callback.attempts,
    last_error: job.callback.lastError
  }
})
