import { layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { initialPolicy } from "../../src/domain/BackendPolicy.ts"
import type { BackendPolicy } from "../../src/domain/BackendPolicy.ts"
import { TenantId } from "../../src/domain/Ids.ts"
import { PolicyResolver } from "../../src/services/PolicyResolver.ts"
import { apart, sqlLayers } from "./sqlLayers.ts"

const onlyRelay: BackendPolicy = { allowedBackends: ["B"], defaultBackend: "B" }

const resolve = (tenant: string) => PolicyResolver.use((policies) => policies.resolve(TenantId.make(tenant)))
const update = (tenant: string, policy: BackendPolicy) =>
  PolicyResolver.use((policies) => policies.update(TenantId.make(tenant), policy))
const count = (tenant: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const [row] = yield* sql<{ tenants: number; policies: number }>`SELECT
      (SELECT COUNT(*) FROM tenants WHERE tenant_id = ${tenant}) AS tenants,
      (SELECT COUNT(*) FROM tenant_policies WHERE tenant_id = ${tenant}) AS policies`
    return { ...row }
  })
/** The same call from another process: a resolver with a memory of its own. */
const elsewhere = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, apart(PolicyResolver.layer))

for (const db of sqlLayers) {
  layer(PolicyResolver.layer.pipe(Layer.provideMerge(db.layer)))(`PolicyResolver on ${db.name}`, (it) => {
    it.effect("gives a new tenant the default policy and stores it", () =>
      Effect.gen(function*() {
        assert.deepEqual(yield* resolve("new"), initialPolicy)
        assert.deepEqual(yield* count("new"), { tenants: 1, policies: 1 })
        assert.deepEqual(yield* elsewhere(resolve("new")), initialPolicy)
      }))

    it.effect("lets first calls race in many processes", () =>
      Effect.gen(function*() {
        const resolved = yield* Effect.all(Array.from({ length: 10 }, () => elsewhere(resolve("raced"))), {
          concurrency: "unbounded"
        })
        assert.deepEqual(resolved, Array.from({ length: 10 }, () => initialPolicy))
        assert.deepEqual(yield* count("raced"), { tenants: 1, policies: 1 })
      }))

    it.effect("takes an update at once here, and within five seconds elsewhere", () =>
      Effect.gen(function*() {
        yield* elsewhere(Effect.gen(function*() {
          assert.deepEqual(yield* resolve("changed"), initialPolicy)
          yield* update("changed", initialPolicy)
          const other = Effect.provide(update("changed", onlyRelay), apart(PolicyResolver.layer))
          assert.deepEqual(yield* other, onlyRelay)
          yield* resolve("changed")
          yield* TestClock.adjust("5 seconds")
          assert.deepEqual(yield* resolve("changed"), onlyRelay)
          yield* update("changed", initialPolicy)
          assert.deepEqual(yield* resolve("changed"), initialPolicy)
        }))
      }))

    it.effect("remembers a policy for five seconds", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* resolve("warm")
        yield* elsewhere(update("warm", onlyRelay))
        yield* TestClock.adjust(4_999)
        assert.deepEqual(yield* resolve("warm"), initialPolicy)
        yield* TestClock.adjust(1)
        assert.deepEqual(yield* resolve("warm"), onlyRelay)
        yield* sql`DELETE FROM tenant_policies WHERE tenant_id = 'warm'`
        yield* TestClock.adjust(5_000)
        assert.deepEqual(yield* resolve("warm"), initialPolicy)
      }))

    it.effect("sets the policy of a tenant that was never met", () =>
      Effect.gen(function*() {
        yield* update("unmet", onlyRelay)
        assert.deepEqual(yield* resolve("unmet"), onlyRelay)
        assert.deepEqual(yield* count("unmet"), { tenants: 1, policies: 1 })
      }))

    it.effect("refuses tenants whose module is off, and serves them again when it is on", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* update("off", onlyRelay)
        yield* sql`UPDATE tenants SET module_enabled = 0 WHERE tenant_id = 'off'`
        assert.equal((yield* Effect.flip(resolve("off")))._tag, "ModuleNotEnabled")
        yield* sql`UPDATE tenants SET module_enabled = 1 WHERE tenant_id = 'off'`
        yield* TestClock.adjust("5 seconds")
        assert.deepEqual(yield* resolve("off"), onlyRelay)
      }))
  })
}
