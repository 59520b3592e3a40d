import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { meanings } from "../../src/domain/Failure.ts"
import type { Code } from "../../src/domain/Failure.ts"
import { grpcStatusOf } from "../../src/domain/stream/GrpcStatus.ts"

const table: ReadonlyArray<readonly [Code, string]> = [
  ["AUTH_TOKEN_MISSING", "UNAUTHENTICATED"],
  ["AUTH_TOKEN_INVALID", "UNAUTHENTICATED"],
  ["AUTHZ_PERMISSION_DENIED", "PERMISSION_DENIED"],
  ["MODULE_NOT_ENABLED", "PERMISSION_DENIED"],
  ["VALIDATION_ERROR", "INVALID_ARGUMENT"],
  ["PAYLOAD_TOO_LARGE", "RESOURCE_EXHAUSTED"],
  ["RATE_LIMITED", "RESOURCE_EXHAUSTED"],
  ["CONCURRENCY_LIMITED", "RESOURCE_EXHAUSTED"],
  ["INTERNAL_ERROR", "INTERNAL"],
  ["SCAISPEAK_STORAGE_UNAVAILABLE", "UNAVAILABLE"],
  ["SCAISPEAK_VOICE_NOT_FOUND", "NOT_FOUND"],
  ["SCAISPEAK_VOICE_NOT_READY", "FAILED_PRECONDITION"],
  ["SCAISPEAK_SESSION_TIMEOUT", "ABORTED"],
  ["SCAISPEAK_CLIENT_TOO_SLOW", "ABORTED"],
  ["SCAISPEAK_SHUTTING_DOWN", "UNAVAILABLE"],
  ["SCAISPEAK_BACKEND_UNAVAILABLE", "UNAVAILABLE"],
  ["SCAISPEAK_BACKEND_FAILED", "UNAVAILABLE"],
  ["SCAISPEAK_BACKEND_TIMEOUT", "DEADLINE_EXCEEDED"],
  ["SCAISPEAK_BACKEND_SATURATED", "UNAVAILABLE"]
]

describe("grpcStatusOf", () => {
  for (const [code, status] of table) it(`${code} is ${status}`, () => assert.equal(grpcStatusOf(code), status))
  it("knows the HTTP status of every code but the idempotent ones", () => {
    const unknown = (Object.keys(meanings) as Array<Code>).filter((code) =>
      grpcStatusOf(code) === "FAILED_PRECONDITION" && meanings[code].status !== 409
    )
    assert.deepEqual(unknown, [])
  })
})
