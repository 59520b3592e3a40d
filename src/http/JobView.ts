/** A job as clients see it. */
import { DateTime } from "effect"
import type { Job } from "../domain/Job.ts"
import { mount } from "./Document.ts"

const time = DateTime.makeUnsafe
const timeOrNull = (millis: number | null) => (millis === null ? null : time(millis))

export const urlOf = (jobId: string): string => `${mount}/speak/jobs/${jobId}`

export const record = (job: Job) => ({
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
  audio_url: job.audioUri === null ? null : `${urlOf(job.jobId)}/audio`,
  audio_duration_ms: job.status === "completed" ? job.audioMs : null,
  save_to: job.saved
})
