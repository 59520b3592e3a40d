/** Waiting times and codes, as relays write them. */
import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { plainCode, retryAfter } from "../../../src/services/RelayDispatcher/Refusal.ts"

const now = Date.UTC(2026, 0, 1, 12)

describe("retryAfter", () => {
  it.each([
    ["17", 17],
    ["0", 1],
    ["1.2", 2],
    ["7200", 3600],
    ["Thu, 01 Jan 2026 12:01:30 GMT", 90],
    ["Thu, 01 Jan 2026 11:00:00 GMT", 1],
    ["Fri, 02 Jan 2026 12:00:00 GMT", 3600],
    ["soon", 5],
    ["", 5],
    [undefined, 5]
  ])("reads %s as %d s", (header, seconds) => {
    assert.equal(retryAfter(header, now), seconds)
  })
})

describe("plainCode", () => {
  it.each([
    ["quota_exceeded", "quota_exceeded"],
    ["sk_0123abcd", undefined],
    ["secretkey", undefined],
    ["secret", undefined],
    ["bad_secretkey", undefined],
    ["spoken", undefined],
    ["A sentence.", undefined],
    ["x".repeat(49), undefined],
    [404, undefined],
    [null, undefined]
  ])("lets %s pass as %s", (code, passed) => {
    assert.equal(plainCode(code, "secretkey", "words that are spoken"), passed)
  })
})
