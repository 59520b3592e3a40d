import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import * as Failure from "../../src/domain/Failure.ts"

/** The contract's table: code and status. */
const contract: ReadonlyArray<readonly [Failure.Failure, string, number, boolean]> = [
  [new Failure.TokenMissing(), "AUTH_TOKEN_MISSING", 401, false],
  [new Failure.TokenInvalid(), "AUTH_TOKEN_INVALID", 401, false],
  [new Failure.PermissionDenied({ permission: "scaispeak:admin" }), "AUTHZ_PERMISSION_DENIED", 403, false],
  [new Failure.ModuleNotEnabled(), "MODULE_NOT_ENABLED", 403, false],
  [Failure.InvalidRequest.field("text", "is empty"), "VALIDATION_ERROR", 422, false],
  [new Failure.PayloadTooLarge({ field: "reference", reason: "is large" }), "PAYLOAD_TOO_LARGE", 413, false],
  [new Failure.RateLimited({ limit: 60, retryAfter: 3 }), "RATE_LIMITED", 429, true],
  [new Failure.ConcurrencyLimited({ limit: 2 }), "CONCURRENCY_LIMITED", 429, true],
  [new Failure.StorageUnavailable({ store: "database", cause: "x" }), "SCAISPEAK_STORAGE_UNAVAILABLE", 503, true],
  [new Failure.VoiceNotFound(), "SCAISPEAK_VOICE_NOT_FOUND", 404, false],
  [new Failure.VoiceNotReady({ reason: "pending" }), "SCAISPEAK_VOICE_NOT_READY", 409, false],
  [new Failure.VoiceLicenseExpired({ voiceId: "vox_a" }), "SCAISPEAK_VOICE_LICENSE_EXPIRED", 403, false],
  [
    new Failure.VoiceLicenseExhausted({ voiceId: "vox_a", characters: 9 }),
    "SCAISPEAK_VOICE_LICENSE_EXHAUSTED",
    403,
    false
  ],
  [new Failure.AudioUndecodable({ field: "reference", reason: "is text" }), "SCAISPEAK_AUDIO_UNDECODABLE", 422, false],
  [new Failure.ErasureNotFound(), "SCAISPEAK_ERASURE_NOT_FOUND", 404, false],
  [new Failure.SynthesisNotFound(), "SCAISPEAK_SYNTHESIS_NOT_FOUND", 404, false],
  [new Failure.SessionNotFound(), "SCAISPEAK_SESSION_NOT_FOUND", 404, false],
  [new Failure.SessionTimeout({ waitedMs: 1 }), "SCAISPEAK_SESSION_TIMEOUT", 408, true],
  [new Failure.ClientTooSlow({ waitedMs: 1 }), "SCAISPEAK_CLIENT_TOO_SLOW", 408, true],
  [new Failure.ShuttingDown(), "SCAISPEAK_SHUTTING_DOWN", 503, true],
  [new Failure.BackendUnavailable({ reasons: ["A is away"] }), "SCAISPEAK_BACKEND_UNAVAILABLE", 502, true],
  [new Failure.BackendFailed({ backend: "A", cause: "x" }), "SCAISPEAK_BACKEND_FAILED", 502, true],
  [new Failure.BackendTimeout({ backend: "B", waitedMs: 1 }), "SCAISPEAK_BACKEND_TIMEOUT", 504, true],
  [new Failure.BackendSaturated({ backend: "A", retryAfter: 2 }), "SCAISPEAK_BACKEND_SATURATED", 503, true],
  [new Failure.SaveToRequiresJwt(), "SCAISPEAK_SAVE_TO_REQUIRES_JWT", 403, false],
  [new Failure.SaveToFailed({ reason: "full" }), "SCAISPEAK_SAVE_TO_FAILED", 502, true],
  [new Failure.IdempotencyConflict({ reason: "other body" }), "SCAISPEAK_IDEMPOTENCY_CONFLICT", 409, false]
]

describe("Failure", () => {
  it.each(contract)("%o is %s, %d", (failure, code, status, retryable) => {
    assert.ok(Failure.isFailure(failure))
    const shown = Failure.show(failure)
    assert.equal(shown.code, code)
    assert.equal(Failure.meanings[shown.code].status, status)
    assert.equal(shown.retryable, retryable)
  })

  it("shows the fields that do not fit and the time to wait, and nothing of a cause", () => {
    assert.deepEqual(Failure.show(Failure.InvalidRequest.field("text", "is empty")).details, [
      { field: "text", message: "is empty" }
    ])
    const exhausted = new Failure.VoiceLicenseExhausted({ voiceId: "vox_a", characters: 9 })
    for (const failure of [exhausted, new Failure.VoiceLicenseExpired({ voiceId: "vox_a" })]) {
      assert.equal(Failure.show(failure).details?.[0]?.field, "voice_id")
    }
    assert.equal(Failure.show(new Failure.BackendSaturated({ backend: "A", retryAfter: 2 })).retryAfter, 2)
    const secret = new Failure.BackendFailed({ backend: "B", cause: new Error("key sk-123") })
    assert.ok(!JSON.stringify(Failure.show(secret)).includes("sk-123"))
  })
})
