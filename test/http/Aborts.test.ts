/** Whatever a client abandons stops everywhere, at once, and leaves nothing. */
import { layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { request } from "node:http"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { idle, TestServer, until } from "../layers/TestServer.ts"

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

const heapMiB = () => {
  gc()
  return process.memoryUsage().heapUsed / 2 ** 20
}

const formats = ["pcm", "mp3", "opus", "flac", "mulaw", "wav"]

/** Speaks without end, and hangs up after some bytes; with none asked for, right after the request went out. */
const abandon = (url: string, key: string, format: string, afterBytes: number) =>
  new Promise<void>((resolve) => {
    const sent = request(`${url}/speak`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }
    }, (response) => {
      let bytes = 0
      response.on("data", (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes >= afterBytes) sent.destroy()
      })
      response.on("error", () => {})
    })
    sent.on("error", () => {})
    sent.on("close", () => resolve())
    sent.end(JSON.stringify({ text: "Anything.", voice_id: "vox_scripted_forever", response_format: format }), () => {
      if (afterBytes === 0) setImmediate(() => sent.destroy())
    })
  })

layer(TestServer.layer(), { excludeTestServices: true })("abandoned requests", (it) => {
  it.effect("leave no engine call, no hold, no encoder, and a flat heap, 500 times over", () =>
    Effect.gen(function*() {
      const server = yield* TestServer
      const key = yield* server.key("acme", "ada", "tenant_admin")
      const round = Effect.promise(() =>
        Promise.all(Array.from({ length: 50 }, (_, i) =>
          abandon(server.url, key, formats[i % formats.length]!, i % 5 === 0 ? 0 : 2_000 + i * 500)))
      ).pipe(Effect.andThen(idle))
      // The first rounds warm caches, pools and the compiler.
      yield* round
      yield* round
      const before = heapMiB()
      for (let i = 0; i < 10; i++) {
        yield* round
      }
      const grown = heapMiB() - before
      console.log(`heap after 500 aborted requests: ${grown >= 0 ? "+" : ""}${grown.toFixed(1)} MiB`)
      assert.ok(grown < 8, `the heap grew by ${grown} MiB`)
    }), 60_000)
})

layer(TestServer.layer({ SCAISPEAK_STALL_MS: "500" }), { excludeTestServices: true })(
  "a client that stops reading",
  (it) => {
    it.effect("holds the engine back, and is let go of when it reads nothing for too long", () =>
      Effect.gen(function*() {
        const { counters, key, node, url } = yield* TestServer
        const token = yield* key("acme", "ada", "tenant_admin")
        const closed = Promise.withResolvers<void>()
        const sent = request(`${url}/speak`, {
          method: "POST",
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }
        }, (response) => {
          response.pause()
          response.on("error", () => {})
        })
        sent.on("error", () => {}).on("close", () => closed.resolve())
        sent.end(JSON.stringify({ text: "Anything.", voice_id: "vox_scripted_forever", response_format: "pcm" }))
        yield* until(counters, ({ holds, nodeCalls }) => holds === 1 && nodeCalls === 1)
        const before = node.written()
        yield* idle
        // What the buffers of two connections hold; a node that were not held back would have written some hundred MiB.
        assert.ok(node.written() - before < 32 * 2 ** 20, `${node.written() - before} bytes`)
        sent.destroy()
        yield* Effect.promise(() => closed.promise)
      }))
  }
)
