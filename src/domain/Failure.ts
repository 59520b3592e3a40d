/**
 * Every failure that a caller can be told about, declared once: its code, HTTP status, whether trying again can help,
 * and a message that is safe to show. Surfaces map these; they never invent one.
 *
 * A defect is not here: it is logged with its cause and answered as `INTERNAL_ERROR`.
 */
import { Predicate, Schema } from "effect"
import { Preflight } from "./Preflight.ts"

/** What the failure means to a caller, by code. */
interface Meaning {
  readonly status: number
  readonly retryable: boolean
  readonly message: string
}

export const meanings = {
  AUTH_TOKEN_MISSING: { status: 401, retryable: false, message: "A bearer token is required." },
  AUTH_TOKEN_INVALID: { status: 401, retryable: false, message: "The bearer token is not valid." },
  AUTHZ_PERMISSION_DENIED: { status: 403, retryable: false, message: "A permission is missing." },
  MODULE_NOT_ENABLED: { status: 403, retryable: false, message: "Speech is disabled for this tenant." },
  VALIDATION_ERROR: { status: 422, retryable: false, message: "The request is not valid." },
  NOT_FOUND: { status: 404, retryable: false, message: "No such route." },
  METHOD_NOT_ALLOWED: { status: 405, retryable: false, message: "This route does not take this method." },
  PAYLOAD_TOO_LARGE: { status: 413, retryable: false, message: "The request body is too large." },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, retryable: false, message: "The request content type is not supported." },
  RATE_LIMITED: { status: 429, retryable: true, message: "Too many requests." },
  CONCURRENCY_LIMITED: { status: 429, retryable: true, message: "Too many syntheses at once for this tenant." },
  BUDGET_EXCEEDED: { status: 429, retryable: false, message: "The tenant's character budget is used up." },
  INTERNAL_ERROR: { status: 500, retryable: false, message: "Something went wrong." },
  SCAISPEAK_STORAGE_UNAVAILABLE: { status: 503, retryable: true, message: "A store that this call needs is away." },
  SCAISPEAK_VOICE_NOT_FOUND: { status: 404, retryable: false, message: "No such voice." },
  SCAISPEAK_VOICE_NOT_READY: { status: 409, retryable: false, message: "The voice cannot speak now." },
  SCAISPEAK_VOICE_LICENSE_EXPIRED: { status: 403, retryable: false, message: "The voice's licence has expired." },
  SCAISPEAK_VOICE_LICENSE_EXHAUSTED: { status: 403, retryable: false, message: "The voice's licence is used up." },
  SCAISPEAK_VOICE_PREFLIGHT_FAILED: { status: 422, retryable: false, message: "The clip is not good enough." },
  SCAISPEAK_AUDIO_UNDECODABLE: { status: 422, retryable: false, message: "The clip is no audio that can be decoded." },
  SCAISPEAK_LICENSE_DOCUMENT_NOT_FOUND: {
    status: 404,
    retryable: false,
    message: "The voice has no licence document."
  },
  SCAISPEAK_API_KEY_NOT_FOUND: { status: 404, retryable: false, message: "No such API key." },
  SCAISPEAK_ERASURE_NOT_FOUND: { status: 404, retryable: false, message: "No such erasure." },
  SCAISPEAK_SYNTHESIS_NOT_FOUND: { status: 404, retryable: false, message: "No such synthesis." },
  SCAISPEAK_SESSION_NOT_FOUND: { status: 404, retryable: false, message: "No such session." },
  SCAISPEAK_SESSION_TIMEOUT: { status: 408, retryable: true, message: "The session was left idle." },
  SCAISPEAK_CLIENT_TOO_SLOW: { status: 408, retryable: true, message: "The client did not read what was sent." },
  SCAISPEAK_SHUTTING_DOWN: { status: 503, retryable: true, message: "This server is going away; connect again." },
  SCAISPEAK_JOB_NOT_FOUND: { status: 404, retryable: false, message: "No such job." },
  SCAISPEAK_JOB_NOT_FINISHED: { status: 409, retryable: true, message: "The job has no audio yet." },
  SCAISPEAK_JOB_EXPIRED: { status: 410, retryable: false, message: "The job's audio was removed." },
  SCAISPEAK_BACKEND_UNAVAILABLE: { status: 502, retryable: true, message: "No allowed backend can serve the call." },
  SCAISPEAK_BACKEND_FAILED: { status: 502, retryable: true, message: "The backend broke while it was speaking." },
  SCAISPEAK_BACKEND_TIMEOUT: { status: 504, retryable: true, message: "The backend gave no audio in time." },
  SCAISPEAK_BACKEND_SATURATED: { status: 503, retryable: true, message: "Every allowed backend is full." },
  SCAISPEAK_SAVE_TO_REQUIRES_JWT: { status: 403, retryable: false, message: "save_to needs a user token, not a key." },
  SCAISPEAK_SAVE_TO_FAILED: { status: 502, retryable: true, message: "The audio could not be saved." },
  SCAISPEAK_IDEMPOTENCY_CONFLICT: {
    status: 409,
    retryable: false,
    message: "This Idempotency-Key belongs to another request."
  }
} as const satisfies Record<string, Meaning>

export type Code = keyof typeof meanings

/** One field that does not fit: its path in dots, and what was expected. */
export const Detail = Schema.Struct({ field: Schema.String, message: Schema.String })
export type Detail = typeof Detail.Type

export class TokenMissing extends Schema.TaggedError<TokenMissing>()("TokenMissing", {}) {
  readonly code = "AUTH_TOKEN_MISSING"
}

/** Unknown, revoked, expired, or signed by somebody else. Which of them is told to nobody. */
export class TokenInvalid extends Schema.TaggedError<TokenInvalid>()("TokenInvalid", {}) {
  readonly code = "AUTH_TOKEN_INVALID"
}

export class PermissionDenied extends Schema.TaggedError<PermissionDenied>()("PermissionDenied", {
  permission: Schema.String
}) {
  readonly code = "AUTHZ_PERMISSION_DENIED"
  readonly details = [{ field: "permission", message: this.permission }]
}

export class ModuleNotEnabled extends Schema.TaggedError<ModuleNotEnabled>()("ModuleNotEnabled", {}) {
  readonly code = "MODULE_NOT_ENABLED"
}

/** Input that does not decode, or decodes to something that nobody can do. One entry a field. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  details: Schema.Array(Detail)
}) {
  readonly code = "VALIDATION_ERROR"
  static field(field: string, message: string): InvalidRequest {
    return new InvalidRequest({ details: [{ field, message }] })
  }
}

/** The rest of the body is not read. `field` is the part that is too large, or `body`. */
export class PayloadTooLarge extends Schema.TaggedError<PayloadTooLarge>()("PayloadTooLarge", {
  field: Schema.String,
  reason: Schema.String
}) {
  readonly code = "PAYLOAD_TOO_LARGE"
  readonly details = [{ field: this.field, message: this.reason }]
}

export class RateLimited extends Schema.TaggedError<RateLimited>()("RateLimited", {
  /** Requests a window. */
  limit: Schema.Number,
  /** Seconds. */
  retryAfter: Schema.Number
}) {
  readonly code = "RATE_LIMITED"
}

export class ConcurrencyLimited extends Schema.TaggedError<ConcurrencyLimited>()("ConcurrencyLimited", {
  limit: Schema.Number
}) {
  readonly code = "CONCURRENCY_LIMITED"
  /** Seconds: about the length of one sentence's synthesis. */
  readonly retryAfter = 1
}

/** The database, object store, registry, token issuer or ScaiDrive does not answer. `cause` is for the log, never for the caller. */
export class StorageUnavailable extends Schema.TaggedError<StorageUnavailable>()("StorageUnavailable", {
  store: Schema.Literals(["database", "objects", "redis", "issuer", "scaidrive"]),
  cause: Schema.Defect()
}) {
  readonly code = "SCAISPEAK_STORAGE_UNAVAILABLE"
  /** Seconds: a pool reconnects within one. */
  readonly retryAfter = 1
}

/** Absent or not visible to the caller: the two cannot be told apart. */
export class VoiceNotFound extends Schema.TaggedError<VoiceNotFound>()("VoiceNotFound", {}) {
  readonly code = "SCAISPEAK_VOICE_NOT_FOUND"
}

export class VoiceNotReady extends Schema.TaggedError<VoiceNotReady>()("VoiceNotReady", {
  reason: Schema.String
}) {
  readonly code = "SCAISPEAK_VOICE_NOT_READY"
  readonly details = [{ field: "voice_id", message: this.reason }]
}

/** The voice's licence was for a time that is over. */
export class VoiceLicenseExpired extends Schema.TaggedError<VoiceLicenseExpired>()("VoiceLicenseExpired", {
  voiceId: Schema.String
}) {
  readonly code = "SCAISPEAK_VOICE_LICENSE_EXPIRED"
  readonly details = [{ field: "voice_id", message: `the licence of ${this.voiceId} has expired` }]
}

/** The voice's licence has fewer characters left than the text needs. */
export class VoiceLicenseExhausted extends Schema.TaggedError<VoiceLicenseExhausted>()("VoiceLicenseExhausted", {
  voiceId: Schema.String,
  /** Code points that were asked for. */
  characters: Schema.Number
}) {
  readonly code = "SCAISPEAK_VOICE_LICENSE_EXHAUSTED"
  readonly details = [{
    field: "voice_id",
    message: `the licence of ${this.voiceId} has no ${this.characters} characters left`
  }]
}

/** `field` is the upload; `reason` continues "The clip …" and ends without a stop. */
export class AudioUndecodable extends Schema.TaggedError<AudioUndecodable>()("AudioUndecodable", {
  field: Schema.String,
  reason: Schema.String
}) {
  readonly code = "SCAISPEAK_AUDIO_UNDECODABLE"
  readonly details = [{ field: this.field, message: `The clip ${this.reason}.` }]
}

/** Sound, but not such that a voice could be made of it. One entry for each thing that is wrong, with the upload it is wrong with. */
export class PreflightFailed extends Schema.TaggedError<PreflightFailed>()("PreflightFailed", {
  details: Schema.Array(Detail),
  /** Of the reference; of the spoken consent where only that one failed. */
  preflight: Preflight
}) {
  readonly code = "SCAISPEAK_VOICE_PREFLIGHT_FAILED"
}

export class LicenceDocumentNotFound
  extends Schema.TaggedError<LicenceDocumentNotFound>()("LicenceDocumentNotFound", {})
{
  readonly code = "SCAISPEAK_LICENSE_DOCUMENT_NOT_FOUND"
}

export class ApiKeyNotFound extends Schema.TaggedError<ApiKeyNotFound>()("ApiKeyNotFound", {}) {
  readonly code = "SCAISPEAK_API_KEY_NOT_FOUND"
}

/** Absent, or of another tenant. */
export class ErasureNotFound extends Schema.TaggedError<ErasureNotFound>()("ErasureNotFound", {}) {
  readonly code = "SCAISPEAK_ERASURE_NOT_FOUND"
}

/** Absent, still running, or somebody else's. */
export class SynthesisNotFound extends Schema.TaggedError<SynthesisNotFound>()("SynthesisNotFound", {}) {
  readonly code = "SCAISPEAK_SYNTHESIS_NOT_FOUND"
}

/** Never there, over, somebody else's, opened with another token, or too far behind to go on without a gap. */
export class SessionNotFound extends Schema.TaggedError<SessionNotFound>()("SessionNotFound", {}) {
  readonly code = "SCAISPEAK_SESSION_NOT_FOUND"
}

/** A live session in which nothing happened: no `open` came, or neither side had anything to say. */
export class SessionTimeout extends Schema.TaggedError<SessionTimeout>()("SessionTimeout", {
  waitedMs: Schema.Number
}) {
  readonly code = "SCAISPEAK_SESSION_TIMEOUT"
}

/** What was ready for the client waited longer than the write limit. */
export class ClientTooSlow extends Schema.TaggedError<ClientTooSlow>()("ClientTooSlow", {
  waitedMs: Schema.Number
}) {
  readonly code = "SCAISPEAK_CLIENT_TOO_SLOW"
}

/** The process drains: it takes no new session, and those that live end once they have spoken. */
export class ShuttingDown extends Schema.TaggedError<ShuttingDown>()("ShuttingDown", {}) {
  readonly code = "SCAISPEAK_SHUTTING_DOWN"
  /** Seconds: another process takes the connection at once. */
  readonly retryAfter = 1
}

/** Absent, or somebody else's. */
export class JobNotFound extends Schema.TaggedError<JobNotFound>()("JobNotFound", {}) {
  readonly code = "SCAISPEAK_JOB_NOT_FOUND"
}

/** It still runs, or it ended without audio; `status` says which. */
export class JobNotFinished extends Schema.TaggedError<JobNotFinished>()("JobNotFinished", { status: Schema.String }) {
  readonly code = "SCAISPEAK_JOB_NOT_FINISHED"
  readonly details = [{ field: "status", message: this.status }]
}

export class JobExpired extends Schema.TaggedError<JobExpired>()("JobExpired", {}) {
  readonly code = "SCAISPEAK_JOB_EXPIRED"
}

/** No allowed backend has what the voice needs. `reasons` says why for each, in words. */
export class BackendUnavailable extends Schema.TaggedError<BackendUnavailable>()("BackendUnavailable", {
  reasons: Schema.Array(Schema.String)
}) {
  readonly code = "SCAISPEAK_BACKEND_UNAVAILABLE"
  readonly details = this.reasons.map((message) => ({ field: "backend", message }))
}

/** The backend broke; `cause` is for the log. */
export class BackendFailed extends Schema.TaggedError<BackendFailed>()("BackendFailed", {
  backend: Schema.Literals(["A", "B"]),
  cause: Schema.Defect()
}) {
  readonly code = "SCAISPEAK_BACKEND_FAILED"
}

export class BackendTimeout extends Schema.TaggedError<BackendTimeout>()("BackendTimeout", {
  backend: Schema.Literals(["A", "B"]),
  waitedMs: Schema.Number
}) {
  readonly code = "SCAISPEAK_BACKEND_TIMEOUT"
}

export class BackendSaturated extends Schema.TaggedError<BackendSaturated>()("BackendSaturated", {
  backend: Schema.Literals(["A", "B"]),
  /** Seconds, from the queue depth that the backend reports. */
  retryAfter: Schema.Number
}) {
  readonly code = "SCAISPEAK_BACKEND_SATURATED"
}

export class SaveToRequiresJwt extends Schema.TaggedError<SaveToRequiresJwt>()("SaveToRequiresJwt", {}) {
  readonly code = "SCAISPEAK_SAVE_TO_REQUIRES_JWT"
}

export class SaveToFailed extends Schema.TaggedError<SaveToFailed>()("SaveToFailed", { reason: Schema.String }) {
  readonly code = "SCAISPEAK_SAVE_TO_FAILED"
  readonly details = [{ field: "save_to", message: this.reason }]
}

/** The same key came with another body, or while its first request is still being answered. */
export class IdempotencyConflict extends Schema.TaggedError<IdempotencyConflict>()("IdempotencyConflict", {
  reason: Schema.Literals(["other body", "in progress"])
}) {
  readonly code = "SCAISPEAK_IDEMPOTENCY_CONFLICT"
  readonly details = [{ field: "Idempotency-Key", message: this.reason }]
}

/** What can go wrong once a backend has been chosen. */
export type DispatchFailure = BackendUnavailable | BackendFailed | BackendTimeout | BackendSaturated

export type Failure =
  | TokenMissing
  | TokenInvalid
  | PermissionDenied
  | ModuleNotEnabled
  | InvalidRequest
  | PayloadTooLarge
  | RateLimited
  | ConcurrencyLimited
  | StorageUnavailable
  | VoiceNotFound
  | VoiceNotReady
  | VoiceLicenseExpired
  | VoiceLicenseExhausted
  | AudioUndecodable
  | PreflightFailed
  | LicenceDocumentNotFound
  | ApiKeyNotFound
  | ErasureNotFound
  | SynthesisNotFound
  | SessionNotFound
  | SessionTimeout
  | ClientTooSlow
  | ShuttingDown
  | JobNotFound
  | JobNotFinished
  | JobExpired
  | DispatchFailure
  | SaveToRequiresJwt
  | SaveToFailed
  | IdempotencyConflict

export const isFailure = (u: unknown): u is Failure =>
  Predicate.hasProperty(u, "code") && Predicate.isString(u.code) && u.code in meanings

/** What a surface may show of a failure. `retryAfter` in seconds. */
export interface Shown {
  readonly code: Code
  readonly message: string
  readonly retryable: boolean
  readonly retryAfter?: number
  readonly details?: ReadonlyArray<Detail>
  readonly preflight?: Preflight
}

export const show = (failure: Failure): Shown => {
  const { message, retryable } = meanings[failure.code]
  return {
    code: failure.code,
    message,
    retryable,
    ...("retryAfter" in failure ? { retryAfter: failure.retryAfter } : {}),
    ...("details" in failure ? { details: failure.details } : {}),
    ...("preflight" in failure ? { preflight: failure.preflight } : {})
  }
}
