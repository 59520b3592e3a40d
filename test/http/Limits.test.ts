/** How much a caller may ask for, and how it is told. */
import { layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import assert from "node:assert/strict"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import { redisUrl } from "../servers/inject.ts"

const good = { text: "Anything.", voice_id: "vox_scripted_say", response_format: "pcm" }

const registries: ReadonlyArray<readonly [string, Effect.Effect<Record<string, string>>]> = [
  ["memory", Effect.succeed({})],
  ["Redis", Effect.promise(async () => ({ SCAISPEAK_REDIS_URL: await redisUrl() }))]
]

for (const [registry, env] of registries) {
  layer(
    TestServer.layer(
      Effect.map(env, (env) => ({ ...env, SCAISPEAK_RATE_LIMIT_KEY: "3", SCAISPEAK_RATE_LIMIT_TENANT: "5" }))
    ),
    { excludeTestServices: true }
  )(`rate limits in ${registry}`, (it) => {
    it.effect("let a key speak three times a minute, and its tenant five times", () =>
      Effect.gen(function*() {
        const { key, node, url } = yield* TestServer
        const [ada, bob] = [yield* key("acme", "ada", "tenant_admin"), yield* key("acme", "bob", "tenant_admin")]
        const speak = (token: string) => send("POST", `${url}/speak`, good, token)
        for (let i = 0; i < 3; i++) assert.equal((yield* speak(ada)).status, 200)
        const dispatched = node.requests.length
        const refused = yield* speak(ada)
        assert.equal(refused.status, 429)
        assert.equal(refused.json.error.code, "RATE_LIMITED")
        const wait = Number(refused.headers.get("retry-after"))
        assert.ok(wait > 50 && wait <= 60)
        assert.equal(refused.json.error.retry_after > 50, true)
        assert.equal(refused.headers.get("x-scaigrid-ratelimit-limit"), "3")
        assert.equal(refused.headers.get("x-scaigrid-ratelimit-remaining"), "0")
        assert.equal(refused.headers.get("x-scaigrid-ratelimit-reset"), String(wait))
        for (let i = 0; i < 2; i++) assert.equal((yield* speak(bob)).status, 200)
        const tenant = yield* speak(bob)
        assert.equal(tenant.headers.get("x-scaigrid-ratelimit-limit"), "5")
        assert.equal(node.requests.length, dispatched + 2)
        assert.equal(
          (yield* speak(yield* key("globex", "eve", "tenant_admin"))).status,
          200,
          "others are not held back"
        )
        yield* idle
      }))
  })
}

layer(TestServer.layer({ SCAISPEAK_TENANT_CONCURRENCY: "2" }), { excludeTestServices: true })("concurrency", (it) => {
  it.effect("lets a tenant have two syntheses at once, and a third when one has ended", () =>
    Effect.gen(function*() {
      const { counters, key, url } = yield* TestServer
      const ada = yield* key("acme", "ada", "tenant_admin")
      const endless = { ...good, voice_id: "vox_scripted_stall" }
      const abort = new AbortController()
      const running = yield* Effect.forkChild(Effect.promise(() =>
        Promise.all([1, 2].map(() =>
          fetch(`${url}/speak`, {
            method: "POST",
            headers: { authorization: `Bearer ${ada}`, "content-type": "application/json" },
            body: JSON.stringify(endless),
            signal: abort.signal
          }).then((response) => response.arrayBuffer()).catch(() => {})
        ))
      ))
      yield* until(counters, ({ holds }) => holds === 2)
      const third = yield* send("POST", `${url}/speak`, good, ada)
      assert.equal(third.status, 429)
      assert.equal(third.json.error.code, "CONCURRENCY_LIMITED")
      assert.equal(third.headers.get("retry-after"), "1")
      const eve = yield* key("globex", "eve", "tenant_admin")
      assert.equal((yield* send("POST", `${url}/speak`, good, eve)).status, 200)
      abort.abort()
      yield* Fiber.join(running)
      yield* idle
      assert.equal((yield* send("POST", `${url}/speak`, good, ada)).status, 200)
      assert.equal((yield* get(`${url}/healthz`)).status, 200)
    }))
})
