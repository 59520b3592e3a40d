/** Jobs that call back, from the administrator's word to the receiver's: over real HTTP, with everything in between. */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { get, send, TestServer, until } from "../layers/TestServer.ts"
import { type Receiver, startReceiver, verifies } from "../servers/Receiver.ts"

class Outside extends Context.Service<Outside, Receiver>()("test/Outside") {
  static readonly layer = Layer.effect(
    Outside,
    Effect.acquireRelease(Effect.promise(startReceiver), ({ stop }) => Effect.promise(stop))
  )
}

const Service = Layer.unwrap(
  Effect.map(Outside, ({ host }) =>
    TestServer.layer({
      SCAISPEAK_OUTBOUND_ALLOW: host,
      SCAISPEAK_SECRETS_KEY: "something long that nobody guesses at all"
    }))
).pipe(Layer.provideMerge(Outside.layer))

const speak = (key: string, body: Record<string, unknown>, headers?: Record<string, string>) =>
  Effect.flatMap(
    TestServer,
    ({ url }) =>
      send("POST", `${url}/speak`, { text: "Told at the end.", voice_id: "vox_scripted_say", ...body }, key, headers)
  )

layer(Service, { excludeTestServices: true })("jobs that call back", (it) => {
  it.effect("an administrator allows an origin and gets a secret; the job's end is told, once, signed with it", () =>
    Effect.gen(function*() {
      const receiver = yield* Outside
      const { key, root, url } = yield* TestServer
      const admin = yield* key("acme", "ada", "tenant_admin")
      const callback_url = `${receiver.url}/told`
      const refused = yield* speak(admin, { force_async: true, callback_url })
      assert.equal(refused.status, 422)
      assert.deepEqual(refused.json.error.details.map(({ field }: any) => field), ["callback_url"])
      assert.match(refused.json.error.details[0].message, /an administrator allows it with PUT \/admin\/webhooks$/u)

      assert.deepEqual((yield* get(`${url}/admin/webhooks`, admin)).json.data, { allowed_origins: [], secret: null })
      const put = yield* send("PUT", `${url}/admin/webhooks`, { allowed_origins: [receiver.url] }, admin)
      assert.deepEqual([put.status, put.json.data], [200, { allowed_origins: [receiver.url], secret: null }])
      assert.match(
        (yield* speak(admin, { force_async: true, callback_url })).json.error.details[0].message,
        /POST \/admin\/webhooks\/secret$/u
      )
      const made = yield* send("POST", `${url}/admin/webhooks/secret`, "", admin)
      assert.equal(made.status, 201, made.bytes.toString())
      const { created_at, previous_valid_until, secret } = made.json.data
      assert.equal(previous_valid_until, null)
      const shown = yield* get(`${url}/admin/webhooks`, admin)
      assert.deepEqual(shown.json.data.secret, { created_at, previous_valid_until: null })
      assert.ok(!shown.bytes.toString().includes(secret), "shown once")

      receiver.answers.set("/told", [(response) => {
        // Delivered is delivered, whatever the answer's body is.
        response.writeHead(204, { "content-encoding": "gzip" }).end()
      }])
      // The process may have delivered others before.
      const delivered = Effect.map(
        get(`${root}/metrics`),
        ({ bytes }) =>
          Number(/scaispeak_callbacks_total\{[^}]*outcome="delivered"[^}]*\} (\d+)/u.exec(bytes.toString())?.[1] ?? 0)
      )
      const before = yield* delivered
      const once = { "idempotency-key": "told" }
      const taken = yield* speak(admin, { force_async: true, callback_url }, once)
      assert.equal(taken.status, 202, taken.bytes.toString())
      assert.equal((yield* speak(admin, { force_async: true, callback_url }, once)).status, 202)
      const path = root + taken.json.data.status_url
      const { json: { data: { callback, ...data } } } = yield* until(
        get(path, admin),
        ({ json }) => json.data.callback.status === "delivered"
      )
      assert.deepEqual(callback, { url: callback_url, status: "delivered", attempts: 1, last_error: null })
      assert.equal(receiver.seen.length, 1)
      const [message] = receiver.seen
      assert.ok(verifies(secret, message!))
      assert.ok(Math.abs(message!.timestamp * 1000 - Date.now()) < 60_000)
      const told = JSON.parse(message!.body)
      assert.deepEqual(told, { type: "job.completed", timestamp: data.finished_at, data })
      assert.ok(!message!.body.includes("Told at the end"))
      assert.equal(yield* until(delivered, (count) => count > before), before + 1)
    }))

  it.effect("a job that is canceled is told of, too, and a text that is spoken at once calls nobody", () =>
    Effect.gen(function*() {
      const receiver = yield* Outside
      const { key, root, url } = yield* TestServer
      const admin = yield* key("globex", "bob", "tenant_admin")
      yield* send("PUT", `${url}/admin/webhooks`, { allowed_origins: [receiver.url] }, admin)
      yield* send("POST", `${url}/admin/webhooks/secret`, "", admin)
      const callback_url = `${receiver.url}/canceled`
      const sync = yield* speak(admin, { callback_url })
      assert.deepEqual([sync.status, sync.json.error.details], [422, [{
        field: "callback_url",
        message: "this text is spoken at once: set force_async for a job"
      }]])
      const { json: { data } } = yield* speak(admin, {
        force_async: true,
        voice_id: "vox_scripted_steady",
        callback_url
      })
      const pending = yield* get(root + data.status_url, admin)
      assert.deepEqual(pending.json.data.callback, {
        url: callback_url,
        status: "pending",
        attempts: 0,
        last_error: null
      })
      yield* send("DELETE", root + data.status_url, "", admin)
      const [message] = yield* until(
        Effect.sync(() => receiver.seen.filter(({ path }) => path === "/canceled")),
        ({ length }) => length > 0
      )
      const told = JSON.parse(message!.body)
      assert.deepEqual([told.type, told.data.job_id], ["job.canceled", data.job_id])
      const without = yield* speak(admin, { force_async: true })
      assert.equal((yield* get(root + without.json.data.status_url, admin)).json.data.callback, null)
    }))

  it.effect("only administrators look and change, each of their own tenant, and what cannot be is told by field", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const user = yield* key("acme", "eve", "tenant_user")
      for (
        const reply of [
          yield* get(`${url}/admin/webhooks`, user),
          yield* send("PUT", `${url}/admin/webhooks`, { allowed_origins: [] }, user),
          yield* send("POST", `${url}/admin/webhooks/secret`, "", user)
        ]
      ) assert.deepEqual([reply.status, reply.json.error.code], [403, "AUTHZ_PERMISSION_DENIED"])
      const other = yield* key("initech", "peter", "tenant_admin")
      assert.deepEqual((yield* get(`${url}/admin/webhooks`, other)).json.data.allowed_origins, [])
      const bad = yield* send("PUT", `${url}/admin/webhooks`, {
        allowed_origins: ["https://fine.example", "http://plain.example", "https://a.example/path"]
      }, other)
      assert.deepEqual([bad.status, bad.json.error.details.map(({ field }: any) => field)], [
        422,
        ["allowed_origins.1", "allowed_origins.2"]
      ])
      const many = { allowed_origins: Array.from({ length: 51 }, (_, n) => `https://h${n}.example`) }
      assert.equal((yield* send("PUT", `${url}/admin/webhooks`, many, other)).status, 422)
      const long = { force_async: true, callback_url: `https://fine.example/${"x".repeat(2048)}` }
      assert.equal((yield* speak(other, long)).json.error.details[0].field, "callback_url")
    }))
})
