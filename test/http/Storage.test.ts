/** The database dies under load: calls fail with a clean 5xx, nothing hangs, and all is well again when it is back. */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import { type Mariadb, startMariadb } from "../servers/Mariadb.ts"

class Database extends Context.Service<Database, Mariadb>()("test/Database") {
  static readonly layer = Layer.effect(
    Database,
    Effect.acquireRelease(Effect.promise(startMariadb), (mariadb) => Effect.promise(() => mariadb.stop()))
  )
}

const Service = Layer.unwrap(
  Effect.map(
    Database,
    ({ url }) =>
      TestServer.layer({
        SCAISPEAK_DATABASE_URL: url,
        SCAISPEAK_RATE_LIMIT_KEY: "0",
        SCAISPEAK_RATE_LIMIT_USER: "0",
        SCAISPEAK_RATE_LIMIT_TENANT: "0"
      })
  )
).pipe(Layer.provideMerge(Database.layer))

layer(Service, { excludeTestServices: true, timeout: "60 seconds" })("while the database is away", (it) => {
  it.effect(
    "answers 503 with a time to wait, or speaks from what it knows, and recovers by itself",
    () =>
      Effect.gen(function*() {
        const mariadb = yield* Database
        const { key, root, url } = yield* TestServer
        const token = yield* key("acme", "ada", "tenant_admin")
        const speak = Effect.suspend(() =>
          send("POST", `${url}/speak`, { text: "Anything.", voice_id: "vox_scripted_say" }, token)
        )
        const list = Effect.suspend(() => get(`${url}/voices`, token))

        const seen = new Map<string, number>()
        let phase = "before"
        let slowestMs = 0
        const caller = Effect.gen(function*() {
          while (phase !== "over") {
            const began = performance.now()
            const { json, status } = yield* Math.random() < 0.5 ? speak : list
            slowestMs = Math.max(slowestMs, performance.now() - began)
            const outcome = `${phase} ${status}${status === 200 ? "" : ` ${json.error.code}`}`
            seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
          }
        })
        const story = Effect.gen(function*() {
          yield* Effect.sleep("1 second")
          phase = "killed"
          yield* Effect.promise(() => mariadb.kill())
          // Longer than anything is remembered.
          yield* Effect.sleep("7 seconds")
          const health = yield* get(`${url}/readyz`)
          assert.equal(health.status, 503)
          assert.equal(health.json.checks.database, "away")
          assert.equal((yield* get(`${url}/healthz`)).status, 200)
          const { headers, json, status } = yield* list
          assert.equal(status, 503)
          assert.equal(json.error.code, "SCAISPEAK_STORAGE_UNAVAILABLE")
          assert.equal(headers.get("retry-after"), "1")
          phase = "starting"
          yield* Effect.promise(() => mariadb.start())
          yield* until(speak, ({ status }) => status === 200)
          phase = "after"
          yield* Effect.sleep("1 second")
          phase = "over"
        })
        yield* Effect.all([story, ...Array.from({ length: 8 }, () => caller)], { concurrency: "unbounded" })

        console.log(
          [...seen].map(([outcome, count]) => `${outcome}: ${count}`).join("\n"),
          `\nslowest: ${slowestMs.toFixed(0)} ms`
        )
        for (const outcome of seen.keys()) {
          assert.match(
            outcome,
            /^(before|after|over) 200$|^(killed|starting) (200|503 SCAISPEAK_STORAGE_UNAVAILABLE)$/u
          )
        }
        assert.ok(slowestMs < 10_000, "no call hangs")
        assert.ok(seen.has("killed 503 SCAISPEAK_STORAGE_UNAVAILABLE") && seen.has("after 200"))
        yield* idle
        assert.match((yield* get(`${root}/metrics`)).bytes.toString(), /scaispeak_open_holds 0/u)
      }),
    60_000
  )
})
