/**
 * Hundreds of sessions that open, speak, are cut in on, drop, come back or do not, over real sockets and a real node: what
 * they leave is nothing. `npm run soak` is the same for an hour, with each program on its own.
 */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import assert from "node:assert/strict"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { ended, live } from "../../bench/stream/lives.ts"
import { StreamService } from "../../src/stream/StreamService.ts"
import { idle, TestServer, until } from "../layers/TestServer.ts"

/** Fibers of the service that run now. */
let fibers = 0
const counted = Layer.succeed(Metric.FiberRuntimeMetrics, {
  recordFiberStart: () => void fibers++,
  recordFiberEnd: () => void fibers--
})

const sessionsAtOnce = 60
/**
 * Of objects and buffers that are still referred to. A session's audio alone is some 100 KiB, so that one in ten of the
 * sessions kept would pass it. What the process holds besides is room that its heap has grown into, told and not judged.
 */
const keptMiBMax = 20

const handles = () => {
  const counts = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo()) {
    if (!kind.includes("Timeout") && !kind.includes("Immediate")) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return Object.fromEntries(counts)
}

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

/** Buffers go one collection after the objects that had them, and behind it. */
const mebibytes = Effect.gen(function*() {
  for (let i = 0; i < 2; i++) {
    collect()
    yield* Effect.sleep(300)
  }
  const { external, heapUsed, rss } = process.memoryUsage()
  return { kept: (heapUsed + external) / 2 ** 20, resident: rss / 2 ** 20 }
})

layer(
  TestServer.layer({
    SCAISPEAK_STREAM_RESUME_MS: "8000",
    SCAISPEAK_RATE_LIMIT_KEY: "0",
    SCAISPEAK_RATE_LIMIT_USER: "0",
    SCAISPEAK_RATE_LIMIT_TENANT: "0"
  }).pipe(Layer.provide(counted)),
  { excludeTestServices: true }
)("soak", (it) => {
  it.effect("what sessions were is gone when they are", () =>
    Effect.gen(function*() {
      const { context, key, url } = yield* TestServer
      const sessions = Context.get(context, StreamService).sessions
      const way = {
        name: "socket",
        url: `${url.replace("http", "ws")}/stream/speak`,
        headers: { authorization: `Bearer ${yield* key("acme", "ada", "tenant_admin")}` }
      }
      const voices = { ending: "vox_scripted_say", lasting: "vox_scripted_steady" }
      /** Sessions for a while; then what is left of them. */
      const wave = Effect.fnUntraced(function*(millis: number, among?: typeof ended) {
        const counts = yield* Effect.promise(() => live(way, voices, sessionsAtOnce, millis, among))
        assert.ok(Object.values(counts).every((count) => count > 0), JSON.stringify(counts))
        yield* until(Effect.sync(sessions), (count) => count === 0)
        yield* idle
        return counts
      })

      yield* wave(2000, ended)
      const rest = { fibers, handles: handles(), ...(yield* mebibytes) }
      const counts = yield* wave(5000)
      yield* until(Effect.sync(() => fibers), (count) => count <= rest.fibers)
      yield* until(Effect.sync(handles), (now) =>
        Object.entries(now).every(([kind, count]) => count <= (rest.handles[kind] ?? 0)))
      const { kept, resident } = yield* mebibytes
      console.log(
        `${JSON.stringify(counts)}: resident ${(resident - rest.resident).toFixed(0)} MiB more, kept ${
          (kept - rest.kept).toFixed(1)
        } MiB more; ${fibers} fibers, ${JSON.stringify(handles())}`
      )
      assert.ok(kept - rest.kept < keptMiBMax)
    }), { timeout: 90_000 })
})
