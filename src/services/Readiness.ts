/** Whether this process should get new work. It says no first when the process stops. */
import { Context, Effect, Layer } from "effect"
import type { Availability } from "../domain/BackendPolicy.ts"
import { Database } from "./Database.ts"
import { NodeRegistry } from "./NodeRegistry.ts"
import { ObjectStore } from "./ObjectStore.ts"
import { ReferenceCache } from "./ReferenceCache.ts"
import type { ReferenceCacheStats } from "./ReferenceCache.ts"
import { RelayDispatcher } from "./RelayDispatcher.ts"

export class Readiness extends Context.Service<Readiness, {
  /** From now on the process is not ready, whatever its dependencies say. */
  readonly stop: Effect.Effect<void>
  /** One line a dependency; ready when every one of them is `ok`. */
  readonly check: Effect.Effect<{
    readonly ready: boolean
    readonly checks: Record<string, string>
    /** For an operator; decides nothing. */
    readonly references: ReferenceCacheStats
  }>
}>()("scaispeak/Readiness") {
  static readonly layer = (options: { readonly engine: string }) =>
    Layer.effect(
      Readiness,
      Effect.gen(function*() {
        const database = yield* Database
        const objects = yield* ObjectStore
        const nodes = yield* NodeRegistry
        const relay = yield* RelayDispatcher
        const references = yield* ReferenceCache
        let stopping = false

        const line = (health: Effect.Effect<unknown, unknown>) =>
          Effect.match(health, { onFailure: () => "away", onSuccess: () => "ok" })

        return Readiness.of({
          stop: Effect.sync(() => {
            stopping = true
          }),
          check: Effect.gen(function*() {
            const stores = yield* Effect.all(
              { database: line(database.health), objects: line(objects.health) },
              { concurrency: "unbounded" }
            )
            const backends = yield* backendLine(
              nodes.availability({ kind: "any", engine: options.engine }),
              relay.speakers
            )
            const checks = { ...stores, backends, ...(stopping ? { process: "stopping" } : {}) }
            return {
              ready: Object.values(checks).every((state) => state === "ok"),
              checks,
              references: references.stats()
            }
          })
        })
      })
    )
}

/** One backend that could take a call is enough. */
const backendLine = (nodes: Availability, speakers: RelayDispatcher["Service"]["speakers"]) =>
  nodes.available ? Effect.succeed("ok") : Effect.match(speakers, {
    onFailure: () => `${nodes.reason}; the relay is away`,
    onSuccess: (names) => (names.length > 0 ? "ok" : nodes.reason)
  })
