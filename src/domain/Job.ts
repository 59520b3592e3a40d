/**
 * A text that is spoken later, as a job: what it is, how it moves, and what is decided about it without asking anybody.
 *
 * `queued → running → completed | failed | canceled`. A run that ends without an end of the job puts it back to `queued`.
 */
import { Schema } from "effect"
import { Backend } from "./BackendPolicy.ts"
import type { CallbackStatus } from "./Callback.ts"
import { isFailure, meanings } from "./Failure.ts"
import { PartnerId, TenantId, UserId } from "./Ids.ts"
import type { JobId, SynthesisId, VoiceId } from "./Ids.ts"
import { Role } from "./Permission.ts"
import { SpeakRequest } from "./SpeakRequest.ts"

export const JobStatus = Schema.Literals(["queued", "running", "completed", "failed", "canceled"])
export type JobStatus = typeof JobStatus.Type

export const isEnded = (status: JobStatus): boolean => status !== "queued" && status !== "running"

/**
 * What a job is made from, as it is kept: what was asked, and by whom. Personal data; it goes with the job. What the caller
 * was permitted is not kept: it was decided when the job was taken.
 */
export const JobRequest = Schema.Struct({
  speak: SpeakRequest,
  caller: Schema.Struct({
    userId: UserId,
    tenantId: TenantId,
    partnerId: Schema.optionalKey(PartnerId),
    role: Role
  })
})
export type JobRequest = typeof JobRequest.Type

/** Who speaks a job: set by its first segment, and no other speaks the rest. */
export const Speaker = Schema.Struct({
  backend: Backend,
  engine: Schema.String,
  model: Schema.String,
  /** Hz. */
  sampleRate: Schema.Natural
})
export type Speaker = typeof Speaker.Type

/** A piece of the text that is spoken by itself and kept as it is finished. */
export const Segment = Schema.Struct({
  /** Code units of the text, from its beginning; the next segment begins here. */
  end: Schema.Natural,
  /** The heading that it begins with. */
  title: Schema.optionalKey(Schema.String),
  /** It ends where a paragraph ends. */
  endsParagraph: Schema.optionalKey(Schema.Literal(true))
})
export type Segment = typeof Segment.Type

/** Where `save_to` put the audio, or why it did not. */
export const Saved = Schema.Struct({
  status: Schema.Literals(["saved", "failed"]),
  share_id: Schema.String,
  file_id: Schema.NullOr(Schema.String),
  name: Schema.NullOr(Schema.String),
  reason: Schema.NullOr(Schema.String)
})
export type Saved = typeof Saved.Type

/** Who is told of a job's end, and how that goes. */
export interface Callback {
  /** Null once the job has expired. */
  readonly url: string | null
  readonly status: CallbackStatus
  readonly attempts: number
  readonly lastError: string | null
}

/** A job as its owner sees it. Times are epoch ms. */
export interface Job {
  readonly jobId: JobId
  readonly synthesisId: SynthesisId
  readonly tenantId: TenantId
  readonly userId: UserId
  readonly voiceId: VoiceId
  readonly status: JobStatus
  readonly statusReason: string | null
  readonly errorCode: string | null
  /** Code points. */
  readonly characters: number
  readonly attempts: number
  /** Grows with every change that an owner can see. */
  readonly revision: number
  readonly segmentsDone: number
  readonly segmentsTotal: number
  readonly charactersDone: number
  readonly audioMs: number
  readonly backendUsed: Backend | null
  /** Key of the finished file in the object store; null before the end and after the expiry. */
  readonly audioUri: string | null
  readonly saved: Saved | null
  readonly callback: Callback | null
  readonly createdAt: number
  readonly startedAt: number | null
  readonly finishedAt: number | null
  readonly expiresAt: number
}

/** Jobs wait in two lanes, so that one that is over in a few seconds never waits for one that takes minutes. */
export type Lane = "short" | "long"
export const lanes: ReadonlyArray<Lane> = ["short", "long"]

/** Code points: some three minutes of speech. */
const shortCharactersMax = 3000
export const laneOf = (characters: number): Lane => (characters <= shortCharactersMax ? "short" : "long")

/**
 * Code points that one run speaks before it lets others go first, if there are any: a long job stands in for its turn
 * again, with what it has still to say.
 */
export const sliceCharacters = 20_000

/** Runs that may fail, one after the other without any getting further, before the job does. */
export const failuresMax = 5
/** Runs that had the job in hand and were never heard of again: more, for a process may die of something else. */
const deathsMax = 10

/** Whether whatever ran it seems to have died of it. `deaths`: since it last came further. */
export const isDeadly = (deaths: number): boolean => deaths >= deathsMax

/** Of one job, as many as keep two busy nodes busy. */
const segmentsMax = 4
/** Runs that got nowhere, after which a job is spoken segment by segment: each that is finished is safe from the next death. */
const hurriedRunsMax = 2

/** How many segments of a job are spoken at once. `attempts`: the run that begins, from 1. */
export const segmentsAtOnce = (attempts: number, lastProgress: number): number =>
  attempts - lastProgress > hurriedRunsMax ? 1 : segmentsMax

const backoffMillisMax = 300_000

/** Wait before the run after `attempts` failed ones: 2 s, doubling, at most five minutes. */
export const backoffMillis = (attempts: number): number => Math.min(1000 * 2 ** attempts, backoffMillisMax)

/** Whether another run might succeed where this one failed. A defect might have been a passing one. */
export const isWorthAnotherRun = (failure: unknown): boolean => !isFailure(failure) || meanings[failure.code].retryable

/** Beside the audio: when what is said. */
export const timingsKeyOf = (audioUri: string): string => audioUri.replace(/[^/]*$/u, "timings.json")

/** Where a job's objects lie. */
export const folderOf = (jobId: JobId): string => `scaispeak/jobs/${jobId}/`
