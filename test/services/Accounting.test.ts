/** What a session is accounted for, while it lives and in the end. */
import { layer } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { ConcurrencyLimited } from "../../src/domain/Failure.ts"
import { RequestId, SynthesisId, TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import { Accounting } from "../../src/services/Accounting.ts"
import type { HoldFacts, SessionHold } from "../../src/services/Accounting.ts"
import { Ledger } from "../../src/services/Ledger.ts"
import { sqlLayers } from "./sqlLayers.ts"

const request = (id: string) => ({
  synthesisId: SynthesisId.make(id),
  requestId: RequestId.make("req_test"),
  caller: {
    tenantId: TenantId.make("acme"),
    userId: UserId.make("ada"),
    role: "tenant_user" as const,
    permissions: new Set<never>(),
    credential: { kind: "jwt" as const }
  },
  voiceId: VoiceId.make("vox_flite_awb"),
  tags: []
})

/** A text that a backend has spoken. */
const said = (session: SessionHold, characters: number, facts: HoldFacts) =>
  Effect.scoped(Effect.map(session.text(characters), (own) => Object.assign(own, facts)))

const rows = Effect.gen(function*() {
  const { depth } = yield* Ledger
  const later = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
  yield* Effect.repeat(Effect.andThen(later, depth), { while: (waiting) => waiting > 0 })
  const sql = yield* SqlClient.SqlClient
  const found = yield* sql`SELECT synthesis_id, user_id, backend, characters, audio_ms, outcome FROM usage_records
    WHERE request_id = 'req_test' ORDER BY created_at, characters DESC`
  return found.map((row) => ({ ...row }))
})

for (const db of sqlLayers) {
  const accounting = Accounting.layer({ tenantConcurrency: 0, tenantSessions: 1 }).pipe(
    Layer.provideMerge(Ledger.layer),
    Layer.provideMerge(db.layer)
  )
  layer(accounting)(`a session's account on ${db.name}`, (it) => {
    it.effect("says each minute what it has come to, and in the end how it ended", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { holdSession } = yield* Accounting
        const session = yield* Scope.provide(holdSession(request("syn_session")), scope)
        yield* said(session, 10, { backend: "A", audioMs: 700, outcome: "completed" })
        yield* said(session, 3, {})
        assert.deepEqual(yield* rows, [])

        yield* TestClock.adjust("1 minute")
        const own = { synthesis_id: "syn_session", user_id: "ada", backend: "A" }
        assert.deepEqual(yield* rows, [{ ...own, characters: 10, audio_ms: 700, outcome: "aborted" }])

        yield* said(session, 20, { backend: "A", audioMs: 1400 })
        yield* said(session, 5, { backend: "B", audioMs: 350 })
        yield* TestClock.adjust("1 minute")
        const [first, second] = yield* rows
        assert.deepEqual(first, { ...own, characters: 30, audio_ms: 2100, outcome: "aborted" })
        const other = second!["synthesis_id"]
        assert.deepEqual(second, {
          ...own,
          synthesis_id: other,
          backend: "B",
          characters: 5,
          audio_ms: 350,
          outcome: "aborted"
        })

        // Somebody was erased meanwhile: the account goes on without the name.
        const sql = yield* SqlClient.SqlClient
        yield* sql`UPDATE usage_records SET user_id = 'erased' WHERE synthesis_id = 'syn_session'`
        yield* said(session, 1, { backend: "A", audioMs: 50 })
        session.ended.outcome = "completed"
        yield* Scope.close(scope, Exit.void)
        assert.deepEqual(yield* rows, [
          { ...own, user_id: "erased", characters: 31, audio_ms: 2150, outcome: "completed" },
          { ...second, outcome: "completed" }
        ])
        // It has had its last word.
        yield* TestClock.adjust("10 minutes")
        assert.deepEqual((yield* rows).map(({ outcome }) => outcome), ["completed", "completed"])
      }))

    it.effect("of one that said nothing is none, and its place is free again", () =>
      Effect.gen(function*() {
        const before = (yield* rows).length
        const { holdSession, openHolds } = yield* Accounting
        yield* Effect.scoped(Effect.gen(function*() {
          yield* holdSession(request("syn_silent"))
          assert.deepEqual(yield* Effect.flip(holdSession(request("syn_second"))), new ConcurrencyLimited({ limit: 1 }))
          yield* TestClock.adjust("5 minutes")
        }))
        assert.equal(openHolds(), 0)
        assert.equal((yield* rows).length, before)
      }))
  })
}
