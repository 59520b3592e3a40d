import { describe, it, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Redacted, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { RequestId, SynthesisId, TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import { Database } from "../../src/services/Database.ts"
import { Ledger } from "../../src/services/Ledger.ts"
import type { AuditEntry, UsageRecord } from "../../src/services/Ledger.ts"
import { startMariadb } from "../servers/Mariadb.ts"
import { sqlLayers } from "./sqlLayers.ts"

const usage = (n: number, fields: Partial<UsageRecord> = {}): UsageRecord => ({
  synthesisId: SynthesisId.make(`syn_${n.toString().padStart(6, "0")}`),
  requestId: RequestId.make("req_test"),
  tenantId: TenantId.make("acme"),
  userId: UserId.make("ada"),
  keyId: null,
  voiceId: VoiceId.make("vox_flite_awb"),
  backend: "A",
  nodeId: null,
  engine: "flite",
  model: "awb",
  characters: 42,
  audioMs: 3_000,
  firstAudioMs: 12,
  totalMs: 80,
  outcome: "completed",
  errorCode: null,
  routing: { reasons: ["A is chosen."], ignoredParams: [] },
  tags: ["🏷️", "cost centre"],
  createdAt: 1_700_000_000_000 + n,
  ...fields
})
const audit: AuditEntry = {
  actorUserId: UserId.make("ada"),
  tenantId: TenantId.make("acme"),
  action: "speech.speak",
  resourceId: "vox_flite_awb",
  outcome: "allowed",
  requestId: RequestId.make("req_test")
}

const write = (record: UsageRecord) => Ledger.use((ledger) => ledger.usage(record))
const depth = Ledger.use((ledger) => ledger.depth)
/** Until every row is written. */
const settled = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5))).pipe(
  Effect.andThen(depth),
  Effect.repeat({ while: (rows) => rows > 0 })
)
const count = (table: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const [row] = yield* sql<{ n: number }>`SELECT COUNT(*) AS n FROM ${sql(table)}`
    return Number(row?.n)
  })

for (const db of sqlLayers) {
  layer(Ledger.layer.pipe(Layer.provideMerge(db.layer)))(`Ledger on ${db.name}`, (it) => {
    it.effect("keeps every field of a usage record", () =>
      Effect.gen(function*() {
        yield* write(usage(1, { outcome: "failed", errorCode: "SCAISPEAK_BACKEND_FAILED", firstAudioMs: null }))
        yield* settled
        const sql = yield* SqlClient.SqlClient
        const [row] = yield* sql`SELECT * FROM usage_records`
        assert.deepEqual({ ...row }, {
          synthesis_id: "syn_000001",
          request_id: "req_test",
          tenant_id: "acme",
          user_id: "ada",
          key_id: null,
          voice_id: "vox_flite_awb",
          backend: "A",
          node_id: null,
          engine: "flite",
          model: "awb",
          characters: 42,
          audio_ms: 3_000,
          first_audio_ms: null,
          total_ms: 80,
          outcome: "failed",
          error_code: "SCAISPEAK_BACKEND_FAILED",
          routing: "{\"reasons\":[\"A is chosen.\"],\"ignoredParams\":[]}",
          tags: "[\"🏷️\",\"cost centre\"]",
          created_at: 1_700_000_000_001
        })
      }))

    it.effect("names audit rows itself, in the order they came", () =>
      Effect.gen(function*() {
        yield* Ledger.use((ledger) =>
          Effect.forEach(["allowed", "denied", "failed"] as const, (outcome) => ledger.audit({ ...audit, outcome }))
        )
        yield* settled
        const sql = yield* SqlClient.SqlClient
        const rows = yield* sql<{ outcome: string }>`SELECT outcome FROM audit_log ORDER BY audit_id`
        assert.deepEqual(rows.map(({ outcome }) => outcome), ["allowed", "denied", "failed"])
      }))

    it.effect("writes a synthesis once, whatever comes with the same id", () =>
      Effect.gen(function*() {
        const before = yield* count("usage_records")
        yield* Effect.all([write(usage(2)), write(usage(2)), write(usage(2, { characters: 7 }))])
        yield* settled
        yield* write(usage(2))
        yield* settled
        assert.equal(yield* count("usage_records"), before + 1)
      }))

    it.effect("drops a row that can never be written, and no other", () =>
      Effect.gen(function*() {
        const before = yield* count("usage_records")
        const broken = usage(4, { outcome: null as never })
        yield* Effect.forEach([usage(3), broken, usage(5)], write)
        yield* settled
        assert.equal(yield* count("usage_records"), before + 2)
      }))

    it.effect("takes 25 000 rows, more than it holds at once, without losing one", () =>
      Effect.gen(function*() {
        const before = yield* count("usage_records")
        const rows = Array.from({ length: 25_000 }, (_, i) => usage(1_000 + i))
        yield* Effect.forEach(rows, write, { discard: true })
        assert.ok((yield* depth) <= 10_000 + 512)
        yield* settled
        assert.equal(yield* count("usage_records"), before + rows.length)
      }))

    it.effect("writes what waits when it stops", () =>
      Effect.gen(function*() {
        const before = yield* count("audit_log")
        yield* Ledger.use((ledger) => Effect.forEach(Array.from({ length: 2_000 }), () => ledger.audit(audit))).pipe(
          Effect.provide(Layer.fresh(Ledger.layer))
        )
        assert.equal(yield* count("audit_log"), before + 2_000)
      }))
  })
}

describe("Ledger whose MariaDB is killed", () => {
  const server = Effect.acquireRelease(Effect.promise(startMariadb), (one) => Effect.promise(() => one.stop()))

  it.live("keeps callers moving, and in the end has every row once", () =>
    Effect.gen(function*() {
      const { kill, start, url } = yield* server
      const database = Database.layer(Redacted.make(url))
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        for (let crash = 0; crash < 2; crash++) {
          // The server forgets a commit at a crash unless the log has left its process.
          yield* sql`SET GLOBAL innodb_flush_log_at_trx_commit = 2`.unprepared
          const writer = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: 3_000 }, (_, i) => crash * 3_000 + i), (i) =>
              Effect.andThen(write(usage(i)), i % 20 === 0 ? Effect.sleep(1) : Effect.void), { discard: true })
          )
          yield* Effect.sleep("50 millis")
          yield* Effect.promise(kill)
          yield* Effect.sleep("100 millis")
          const startedAt = performance.now()
          yield* Ledger.use((ledger) =>
            ledger.audit(audit)
          )
          assert.ok(performance.now() - startedAt < 50)
          yield* Effect.promise(start)
          yield* Fiber.join(writer)
          yield* settled
        }
        assert.equal(yield* count("usage_records"), 6_000)
        assert.equal(yield* count("audit_log"), 2)
      }).pipe(Effect.provide(Ledger.layer.pipe(Layer.provideMerge(database))))
    }))

  it.effect("gives up at the stop after ten seconds", () =>
    Effect.gen(function*() {
      const { kill, url } = yield* server
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(
        Ledger.layer.pipe(Layer.provideMerge(Database.layer(Redacted.make(url)))),
        scope
      )
      yield* Effect.promise(kill)
      yield* Effect.provideContext(write(usage(1)), context)
      const stopping = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* TestClock.adjust(9_999)
      assert.equal(stopping.pollUnsafe(), undefined)
      yield* TestClock.adjust(1)
      yield* Fiber.join(stopping)
    }))
})
