/** `GET /healthz` and `GET /readyz`: whether the process lives, and whether it should get new work. */
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Readiness } from "../services/Readiness.ts"
import type { ReferenceCacheStats } from "../services/ReferenceCache.ts"
import { mount } from "./Api.ts"

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
