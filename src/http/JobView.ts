/** A job as clients see it, and where. */
import type { Job } from "../domain/Job.ts"
import { jobUrlOf, recordOf } from "../domain/JobRecord.ts"
import { mount } from "./Document.ts"

export const urlOf = (jobId: string): string => jobUrlOf(mount, jobId)

export const record = (job: Job) => recordOf(mount, job)
