import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"

import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { backendsOf, isSameSpeaker, isVisibleTo, notReady } from "../../src/domain/Voice.ts"
import { voice } from "../layers/voices.ts"

const [acme, globex] = [TenantId.make("acme"), TenantId.make("globex")]
const [ada, bob] = [UserId.make("ada"), UserId.make("bob")]
const caller = { tenantId: acme, userId: ada }

describe("isVisibleTo", () => {
  it.each(
    [
      ["everybody's", { scope: "global", tenantId: null, ownerUserId: null }, true],
      ["the tenant's", { scope: "tenant", tenantId: acme, ownerUserId: bob }, true],
      ["the caller's own", { scope: "user", tenantId: acme, ownerUserId: ada }, true],
      ["a colleague's own", { scope: "user", tenantId: acme, ownerUserId: bob }, false],
      ["another tenant's", { scope: "tenant", tenantId: globex, ownerUserId: bob }, false],
      ["a namesake's in another tenant", { scope: "user", tenantId: globex, ownerUserId: ada }, false]
    ] as const
  )("%s → %o", (_, voice, visible) => assert.equal(isVisibleTo(voice, caller), visible))
})

describe("notReady", () => {
  it.each(["pending", "processing", "failed", "evicted"] as const)("refuses a voice that is %s", (embeddingStatus) => {
    assert.equal(notReady({ embeddingStatus, statusReason: null, consent: null })?.code, "SCAISPEAK_VOICE_NOT_READY")
  })
  it("lets a ready one speak", () =>
    assert.equal(notReady({ embeddingStatus: "ready", statusReason: null, consent: null }), undefined))
})

describe("backendsOf", () => {
  const preset = { engine: "flite", name: "awb" }
  const reference = { sha256: "ab".repeat(32), durationMs: 5000, objectKey: "k", transcript: null }
  it.each([
    ["an engine's preset", voice({ preset }), { A: true, B: false }],
    ["a relay's speaker", voice({ relaySpeaker: "alloy" }), { A: false, B: true }],
    ["a clone", voice({ kind: "cloned", reference }), { A: true, B: false }],
    ["a design", voice({ kind: "designed", designPrompt: "a deep voice" }), { A: true, B: false }],
    ["nobody's", voice(), { A: false, B: false }]
  ])("%s", (_, voice, expected) => assert.deepEqual(backendsOf(voice), expected))
})

describe("isSameSpeaker", () => {
  it.each([
    [voice({ preset: { engine: "kokoro", name: "af_bella" }, relaySpeaker: "af_bella" }), true],
    [voice({ preset: { engine: "flite", name: "awb" }, relaySpeaker: "alloy" }), false],
    [voice({ preset: { engine: "flite", name: "awb" } }), false],
    [voice({ relaySpeaker: "alloy" }), false]
  ])("%#", (voice, same) => assert.equal(isSameSpeaker(voice), same))
})
