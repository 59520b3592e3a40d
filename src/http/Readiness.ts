/** Whether this process should get new work: `GET /readyz` says so, and turns it down first when the process stops. */
import { Context, Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import type { Availability } from "../domain/BackendPolicy.ts"
import { Database } from "../services/Database.ts"
import { NodeRegistry } from "../services/NodeRegistry.ts"
import { ObjectStore } from "../services/ObjectStore.ts"
import { ReferenceCache } from "../services/ReferenceCache.ts"
import type { ReferenceCacheStats } from "../services/ReferenceCache.ts"
import { RelayDispatcher } from "../services/RelayDispatcher.ts"
import { mount } from "./Api.ts"

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
}>()("scaispeak/http/Readiness") {
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

/** `healthz` does no I/O: the process lives when it answers. */
export const routes = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const { check } = yield* Readiness
  yield* router.add("GET", `${mount}/healthz`, HttpServerResponse.jsonUnsafe({ status: "ok", module: "scaispeak" }))
  yield* router.add(
    "GET",
    `${mount}/readyz`,
    Effect.map(check, ({ checks, ready, references }) =>
      HttpServerResponse.jsonUnsafe(
        {
          status: ready ? "ok" : "unavailable",
          module: "scaispeak",
          checks,
          reference_cache: { hit_rate: hitRate(references), entries: references.entries, bytes: references.bytes }
        },
        { status: ready ? 200 : 503 }
      ))
  )
}))

/** Share of the clips asked for that did not wait for the object store, since the start; null before the first. */
const hitRate = ({ diskHits, memoryHits, misses }: ReferenceCacheStats): number | null => {
  const hits = memoryHits + diskHits
  return hits + misses === 0 ? null : hits / (hits + misses)
}
