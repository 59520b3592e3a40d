/** Consent taken back: what runs in the voice stops within a second, on every process, and nothing new begins. */
import { it, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Logger } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { request } from "node:http"
import { consented } from "../layers/consented.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import * as Program from "../programs/Program.ts"
import { startMariadb } from "../servers/Mariadb.ts"
import { startRedis } from "../servers/Redis.ts"

/** Longest time that a call may go on after the revocation began. */
const stopMillisMax = 1000

type Server = TestServer["Service"]

/** Speaks and reads; tells when sound came and how the connection ended. */
const listen = (url: string, key: string, voiceId: string, reads = true) => {
  const heard = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<{ readonly at: number; readonly clean: boolean; readonly status: number }>()
  const sent = request(`${url}/speak`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" }
  }, (response) => {
    response.on("data", () => {
      heard.resolve()
      if (!reads) response.pause()
    })
    response.on("error", () => {})
    response.on(
      "close",
      () => ended.resolve({ at: performance.now(), clean: response.complete, status: response.statusCode! })
    )
  })
  sent.on("error", () => {})
  sent.end(JSON.stringify({ text: "Anything.", voice_id: voiceId, response_format: "pcm" }))
  return { heard: heard.promise, ended: ended.promise, hangUp: () => sent.destroy() }
}

const speak = ({ url }: Server, key: string, voice_id: string) =>
  send("POST", `${url}/speak`, { text: "Anything.", voice_id, response_format: "pcm" }, key)
const revoke = ({ url }: Server, key: string, voiceId: string) =>
  send("POST", `${url}/voices/${voiceId}/consent/revoke`, {}, key)

const assertRefused = Effect.fnUntraced(function*(server: Server, key: string, voiceId: string) {
  const { json, status } = yield* speak(server, key, voiceId)
  assert.equal(status, 409)
  assert.equal(json.error.code, "SCAISPEAK_VOICE_NOT_READY")
  assert.deepEqual(json.error.details, [{ field: "voice_id", message: "consent revoked" }])
})

/** The same as the last time. */
const settled = () => {
  let last = -1
  return (now: number) => {
    const same = now === last
    last = now
    return same
  }
}

for (const [name, env] of stores) {
  layer(TestServer.layer(env), { excludeTestServices: true })(`revoked consent, on ${name}`, (it) => {
    it.effect("breaks off what runs, refuses what comes, and leaves other voices alone", () =>
      Effect.gen(function*() {
        const server = yield* TestServer
        const key = yield* server.key("acme", "ada", "tenant_admin")
        const voiceId = yield* consented(server, "steady")
        const other = listen(server.url, key, yield* consented(server, "steady"))
        const calls = [1, 2, 3].map(() => listen(server.url, key, voiceId))
        yield* Effect.promise(() => Promise.all([...calls, other].map(({ heard }) => heard)))

        const startedAt = performance.now()
        const { json, status } = yield* revoke(server, key, voiceId)
        const answeredMs = performance.now() - startedAt
        assert.equal(status, 200, JSON.stringify(json))
        assert.equal(json.data.consent.status, "revoked")
        yield* assertRefused(server, key, voiceId)
        const ends = yield* Effect.promise(() => Promise.all(calls.map(({ ended }) => ended)))
        const stoppedMs = Math.max(...ends.map(({ at }) => at)) - startedAt
        console.log(
          `${name}: revoked in ${answeredMs.toFixed(0)} ms, 3 running calls broke off in ${stoppedMs.toFixed(0)} ms`
        )
        assert.ok(ends.every(({ clean, status }) => !clean && status === 200), "never a clean end of a cut file")
        assert.ok(stoppedMs < stopMillisMax)
        yield* until(server.counters, ({ holds, nodeCalls }) => holds === 1 && nodeCalls === 1)
        other.hangUp()
        yield* idle

        const again = yield* revoke(server, key, voiceId)
        assert.deepEqual(again.json.data, json.data)
        const record = yield* get(`${server.url}/voices/${voiceId}`, key)
        assert.equal(record.json.data.consent.status, "revoked")
        const verified = yield* get(`${server.url}/admin/consents/verify`, key)
        assert.deepEqual([verified.json.data.intact, verified.json.data.events], [true, 3])
        const sql = Context.get(server.context, SqlClient.SqlClient)
        const rows = yield* until(
          sql`SELECT outcome, error_code FROM usage_records WHERE voice_id = ${voiceId}`,
          ({ length }) => length === 3
        )
        assert.ok(rows.every((row) => row.outcome === "failed" && row.error_code === "SCAISPEAK_VOICE_NOT_READY"))
      }))

    it.effect("ends a call whose client does not read, with all that is on the way to it", () =>
      Effect.gen(function*() {
        const server = yield* TestServer
        const key = yield* server.key("acme", "ada", "tenant_admin")
        const voiceId = yield* consented(server, "forever")
        const call = listen(server.url, key, voiceId, false)
        yield* Effect.promise(() => call.heard)
        // The buffers of two connections are full, and the server waits for its client.
        yield* until(Effect.delay(Effect.sync(server.node.written), 200), settled())
        const startedAt = performance.now()
        yield* revoke(server, key, voiceId)
        yield* idle
        const stoppedMs = performance.now() - startedAt
        console.log(`${name}: a call that waited for its client was stopped in ${stoppedMs.toFixed(0)} ms`)
        assert.ok(stoppedMs < stopMillisMax)
        call.hangUp()
      }))

    it.effect("is not heard again by way of an Idempotency-Key", () =>
      Effect.gen(function*() {
        const server = yield* TestServer
        const key = yield* server.key("acme", "ada", "tenant_admin")
        const voice_id = yield* consented(server, "say")
        const again = send("POST", `${server.url}/speak`, { text: "Once.", voice_id }, key, {
          "idempotency-key": voice_id
        })
        assert.equal((yield* again).status, 200)
        const replayed = yield* until(again, ({ headers, status }) =>
          status === 200 && headers.has("idempotent-replayed"))
        assert.ok(replayed.bytes.length > 0)
        yield* revoke(server, key, voice_id)
        assert.equal((yield* again).json.error.code, "SCAISPEAK_VOICE_NOT_READY")
      }))

    it.effect("ends a call that has not been heard yet with the reason", () =>
      Effect.gen(function*() {
        const server = yield* TestServer
        const key = yield* server.key("acme", "ada", "tenant_admin")
        const voiceId = yield* consented(server, "mute")
        const call = yield* Effect.forkChild(speak(server, key, voiceId))
        yield* until(server.counters, ({ nodeCalls }) => nodeCalls === 1)
        const startedAt = performance.now()
        yield* revoke(server, key, voiceId)
        const { json, status } = yield* Fiber.join(call)
        assert.ok(performance.now() - startedAt < stopMillisMax)
        assert.deepEqual([status, json.error.details[0].message], [409, "consent revoked"])
        yield* idle
      }))

    it.effect("is for those who may: the ledger's rules, over HTTP", () =>
      Effect.gen(function*() {
        const server = yield* TestServer
        const voiceId = yield* consented(server, "say", { scope: "tenant" })
        const cases = [
          [yield* server.key("acme", "bob", "tenant_user", ["scaispeak:voice.write"]), voiceId, 403],
          [yield* server.key("acme", "viewer", "tenant_viewer"), voiceId, 403],
          [yield* server.key("globex", "eve", "tenant_admin"), voiceId, 404],
          [yield* server.key("acme", "root", "tenant_admin"), "vox_absent", 404],
          [yield* server.key("acme", "root", "tenant_admin"), "nonsense", 404],
          [yield* server.key("acme", "root", "tenant_admin"), voiceId, 200]
        ] as const
        for (const [key, id, expected] of cases) assert.equal((yield* revoke(server, key, id)).status, expected)
        const viewer = yield* server.key("acme", "viewer", "tenant_viewer")
        assert.equal((yield* get(`${server.url}/admin/consents/verify`, viewer)).status, 403)
      }))
  })
}

const WithRelay = Layer.unwrap(
  Effect.map(Program.start("relay.ts"), ({ firstLine }) =>
    TestServer.layer({
      SCAISPEAK_RELAY_KIND: "openai",
      SCAISPEAK_RELAY_URL: `http://127.0.0.1:${firstLine}/v1`,
      SCAISPEAK_RELAY_MODEL: "tts-1",
      SCAISPEAK_RELAY_API_KEY: "sk-relay"
    }))
)

layer(WithRelay, { excludeTestServices: true })("revoked consent, at a relay", (it) => {
  for (const speaker of ["endless", "stall", "mute"]) {
    it.effect(`ends a call whose relay is ${speaker}`, () =>
      Effect.gen(function*() {
        const server = yield* TestServer
        const key = yield* server.key("acme", "ada", "tenant_admin")
        const voiceId = yield* consented(server, "say", { preset: null, relaySpeaker: speaker })
        const call = yield* Effect.forkChild(Effect.exit(
          send("POST", `${server.url}/speak`, { text: "Anything.", voice_id: voiceId, response_format: "pcm" }, key, {
            accept: "application/json"
          })
        ))
        yield* until(server.counters, ({ relayCalls }) => relayCalls === 1)
        yield* Effect.sleep(100)
        const startedAt = performance.now()
        assert.equal((yield* revoke(server, key, voiceId)).status, 200)
        const exit = yield* Fiber.join(call)
        const stoppedMs = performance.now() - startedAt
        console.log(`relay, ${speaker}: stopped in ${stoppedMs.toFixed(0)} ms`)
        assert.ok(exit._tag === "Success" && exit.value.status === 409, String(exit))
        assert.ok(stoppedMs < stopMillisMax)
        yield* idle
      }))
  }
})

/** Two processes of the service on one database and one Redis, each with a node of its own. */
const two = Effect.fnUntraced(function*(env: Record<string, string>) {
  const build = Effect.map(
    Layer.build(Layer.fresh(TestServer.layer(env))),
    (context) => Context.get(context, TestServer)
  )
  return [yield* build, yield* build] as const
})

const production = Effect.gen(function*() {
  const redis = yield* Effect.acquireRelease(Effect.promise(startRedis), (it) => Effect.promise(() => it.stop()))
  const mariadb = yield* Effect.acquireRelease(Effect.promise(startMariadb), (it) => Effect.promise(() => it.stop()))
  const [, env] = stores[1]!
  const settings = { ...(yield* env), SCAISPEAK_REDIS_URL: redis.url, SCAISPEAK_DATABASE_URL: mariadb.url }
  return { redis, settings }
})

it.live("revoked consent stops what runs in another process, too", () =>
  Effect.gen(function*() {
    const { settings } = yield* production
    const [here, there] = yield* two(settings)
    const key = yield* here.key("acme", "ada", "tenant_admin")
    const voiceId = yield* consented(here, "steady")
    const call = listen(there.url, key, voiceId)
    yield* Effect.promise(() => call.heard)

    const startedAt = performance.now()
    assert.equal((yield* revoke(here, key, voiceId)).status, 200)
    yield* assertRefused(there, key, voiceId)
    const { at, clean } = yield* Effect.promise(() => call.ended)
    console.log(`the call in the other process broke off in ${(at - startedAt).toFixed(0)} ms`)
    assert.ok(!clean && at - startedAt < stopMillisMax)
    yield* Effect.provideService(idle, TestServer, there)
  }).pipe(Effect.provide(Logger.layer([]))), 60_000)

it.live(
  "revoked consent is noticed by another process within seconds while Redis is away",
  () =>
    Effect.gen(function*() {
      const { redis, settings } = yield* production
      const [here, there] = yield* two(settings)
      const key = yield* here.key("acme", "ada", "tenant_admin")
      const voiceId = yield* consented(here, "steady")
      const call = listen(there.url, key, voiceId)
      yield* Effect.promise(() => call.heard)
      yield* Effect.promise(() => redis.kill())

      const startedAt = performance.now()
      assert.equal((yield* revoke(here, key, voiceId)).status, 200)
      yield* assertRefused(here, key, voiceId)
      const { at, clean } = yield* Effect.promise(() => call.ended)
      console.log(`without Redis, the call in the other process broke off in ${(at - startedAt).toFixed(0)} ms`)
      assert.ok(!clean && at - startedAt < 6_000)
      yield* assertRefused(there, key, voiceId)
    }).pipe(Effect.provide(Logger.layer([]))),
  60_000
)
