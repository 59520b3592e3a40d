/**
 * What a relay's refusal means to the call: its status, and where it has one the code in its body.
 *
 * The relay's own sentences are never passed on, since they may repeat the key or the text. A code is, to the log alone,
 * when it is a plain word that neither of them contains.
 */
import type { Headers } from "effect/http"
import { BackendFailed, BackendSaturated, BackendTimeout, BackendUnavailable } from "../../domain/Failure.ts"
import type { DispatchFailure } from "../../domain/Failure.ts"
import { retryAfterMillis } from "../../domain/RetryAfter.ts"

export interface Refusal {
  readonly status: number
  readonly headers: Headers.Headers
  /** As {@link plainCode} gives it. */
  readonly code: string | undefined
  /** Epoch ms. */
  readonly now: number
  /** ms from the request to this answer. */
  readonly waitedMs: number
}

export const unavailable = (reason: string) =>
  new BackendUnavailable({ reasons: [`B cannot serve the call: ${reason}.`] })

/** `message` is for the log. */
export const broken = (message: string) => new BackendFailed({ backend: "B", cause: new Error(message) })

export const refused = ({ code, headers, now, status, waitedMs }: Refusal): DispatchFailure => {
  if (status === 402 || (code !== undefined && quotaCodes.has(code))) return unavailable("the relay's quota is used up")
  if (code === "voice_not_found") return unavailable("the relay does not know the voice's speaker")
  switch (status) {
    case 401:
    case 403:
      return unavailable("the relay refuses our key")
    case 408:
    case 504:
      return new BackendTimeout({ backend: "B", waitedMs })
    case 429:
    case 503:
      return new BackendSaturated({ backend: "B", retryAfter: retryAfter(headers["retry-after"], now) })
    default:
      return broken(`The relay answered ${status}${code === undefined ? "" : ` (${code})`}.`)
  }
}

/** Spent money is no full queue: waiting does not help. OpenAI says it with 429, ElevenLabs with 401. */
const quotaCodes: ReadonlySet<string> = new Set([
  "quota_exceeded",
  "insufficient_quota",
  "insufficient_credits",
  "billing_hard_limit_reached"
])

/** Seconds, where a full relay names no time. */
const retryAfterDefaultSeconds = 5
const retryAfterMaxSeconds = 3600

/** Seconds from now of a `Retry-After`: 1 to 3600. */
export const retryAfter = (header: string | undefined, now: number): number => {
  const millis = retryAfterMillis(header, now)
  return millis === undefined
    ? retryAfterDefaultSeconds
    : Math.min(retryAfterMaxSeconds, Math.max(1, Math.ceil(millis / 1000)))
}

/** Longest code that is believed to be one. */
const codeCharactersMax = 48

/** The code if it is a plain word, as codes are and keys are not, that shares nothing with what must stay unsaid. */
export const plainCode = (code: unknown, ...unsaid: ReadonlyArray<string>): string | undefined =>
  typeof code === "string" && /^[a-z]+(?:_[a-z]+)*$/u.test(code) && code.length <= codeCharactersMax &&
    !unsaid.some((secret) => secret !== "" && (secret.includes(code) || code.includes(secret)))
    ? code
    : undefined
