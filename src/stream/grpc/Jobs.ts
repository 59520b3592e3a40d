/** `GetJob`: where a job of the caller stands. Somebody else's is absent. */
import { Effect, Option, Schema } from "effect"
import { JobNotFound } from "../../domain/Failure.ts"
import { JobId } from "../../domain/Ids.ts"
import type { Job, Saved } from "../../domain/Job.ts"
import * as wire from "../../proto/scaispeak/v1/speak.ts"
import { JobRepo } from "../../services/JobRepo.ts"
import type { Caller } from "./Calls.ts"
import { numberOf } from "./Enums.ts"

const decode = Schema.decodeUnknownOption(JobId)

export const make = Effect.gen(function*() {
  const jobs = yield* JobRepo
  return Effect.fnUntraced(function*({ jobId }: wire.GetJobRequest, caller: Caller) {
    caller.resourceId = jobId
    const id = decode(jobId)
    // An id of another shape names no job either.
    if (Option.isNone(id)) return yield* new JobNotFound()
    return { job: jobOf(yield* jobs.find(caller.user, id.value)) }
  })
})

const jobOf = (job: Job): wire.Job => ({
  jobId: job.jobId,
  synthesisId: job.synthesisId,
  voiceId: job.voiceId,
  status: numberOf(wire.JobStatus, job.status),
  statusReason: job.statusReason ?? undefined,
  errorCode: job.errorCode ?? undefined,
  characters: job.characters,
  segmentsDone: job.segmentsDone,
  segmentsTotal: job.segmentsTotal,
  charactersDone: job.charactersDone,
  audioMs: Math.round(job.audioMs),
  backendUsed: job.backendUsed === null ? wire.Backend.UNSPECIFIED : numberOf(wire.Backend, job.backendUsed),
  attempts: job.attempts,
  createdAtMs: job.createdAt,
  startedAtMs: job.startedAt ?? undefined,
  finishedAtMs: job.finishedAt ?? undefined,
  expiresAtMs: job.expiresAt,
  audioUri: job.audioUri ?? undefined,
  saveTo: job.saved === null ? undefined : savedTo(job.saved)
})

const savedTo = ({ file_id, name, reason, share_id, status }: Saved): wire.SavedTo => ({
  status: numberOf(wire.SaveStatus, status),
  shareId: share_id,
  fileId: file_id ?? undefined,
  name: name ?? undefined,
  reason: reason ?? undefined
})
