/**
 * Telling whoever is at a job's `callback_url` that the job has ended: what counts as told, and when it is tried again.
 *
 * The form is that of Standard Webhooks 1.0.0 (standardwebhooks.com): one id for all attempts, so that a receiver can tell
 * a repetition; any 2xx is delivered, 410 asks to be left alone, and anything else is tried again; 429 and 503 may say with
 * `Retry-After` how much later.
 */
import { Schema } from "effect"
import type { JobId } from "./Ids.ts"
import { retryAfterMillis } from "./RetryAfter.ts"

/** `pending`: the job has not ended, or it is still being tried. */
export const CallbackStatus = Schema.Literals(["pending", "delivered", "failed"])
export type CallbackStatus = typeof CallbackStatus.Type

/** Characters. */
export const callbackUrlMax = 2048

/** As many as are spread over a day. */
export const callbackAttemptsMax = 8
/** After each attempt but the last, ms: soon for a restart, hours for an outage; 23.6 h in all. */
const waitsMillis = [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 28_800_000, 28_800_000] as const

const waitMillisMax = Math.max(...waitsMillis)

/**
 * Wait before the next attempt after `attempts` failed ones, ms. What the receiver asks for can make it longer, up to the
 * longest wait of all, and never shorter.
 */
export const callbackWaitMillis = (attempts: number, askedMillis = 0): number => {
  const planned = waitsMillis[Math.min(Math.max(attempts, 1), waitsMillis.length) - 1]!
  return Math.min(Math.max(planned, askedMillis), waitMillisMax)
}

/** How long an answer asks to be left alone, ms; undefined where it does not. */
export const askedMillis = (
  status: number,
  retryAfter: string | undefined,
  nowMillis: number
): number | undefined => status === 429 || status === 503 ? retryAfterMillis(retryAfter, nowMillis) : undefined

export type Verdict = "delivered" | "again" | "never"

/** What an attempt comes to. A redirect is not followed: whoever is redirected to was not allowed. */
export const verdictOf = (status: number, attempts: number): Verdict => {
  if (status >= 200 && status < 300) return "delivered"
  return status === 410 || attempts >= callbackAttemptsMax ? "never" : "again"
}

/** Of all attempts of a job's one message. */
export const messageIdOf = (jobId: JobId): string => `msg_${jobId.slice("job_".length)}`
