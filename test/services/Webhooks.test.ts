/** Whom a tenant lets its jobs call, and the secrets that sign for it: on both databases. */
import { it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { describe } from "vitest"
import { TenantId } from "../../src/domain/Ids.ts"
import { Webhooks } from "../../src/services/Webhooks.ts"
import { headersOf, makeSecret } from "../../src/services/Webhooks/Signature.ts"
import { verifies } from "../servers/Receiver.ts"
import { sqlLayers } from "./sqlLayers.ts"

const rules = { ports: [443], vouched: ["127.0.0.1:9000"] }
const acme = TenantId.make("acme")
const body = Buffer.from("{}")
const message = { id: "msg_1", timestamp: 1, body }
const url = "https://hooks.example.com/jobs?of=acme"

describe("signatures of webhooks", () => {
  it("are those of the standard's own example", () => {
    const example = {
      id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
      timestamp: 1614265330,
      body: Buffer.from(`{"test": 2432232314}`)
    }
    assert.deepEqual(headersOf(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], example), {
      "webhook-id": example.id,
      "webhook-timestamp": "1614265330",
      "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    })
  })

  it("are one for each secret, and nobody else's", () => {
    const secrets = [makeSecret(), makeSecret()]
    const headers = headersOf(secrets, message)
    assert.deepEqual(secrets.map((secret) => verifies(secret, { headers, body: "{}" })), [true, true])
    assert.equal(verifies(makeSecret(), { headers, body: "{}" }), false)
    assert.equal(verifies(secrets[0]!, { headers, body: "{} " }), false)
    assert.equal(verifies(secrets[0]!, { headers: { ...headers, "webhook-timestamp": "2" }, body: "{}" }), false)
    assert.match(secrets[0]!, /^whsec_[A-Za-z0-9+/]{43}=$/u)
  })
})

for (const db of sqlLayers) {
  const key = Redacted.make("a key of the settings, quite long")
  const sealed = Webhooks.layer({ rules, key }).pipe(Layer.provideMerge(db.layer))
  layer(sealed)(`Webhooks on ${db.name}`, (it) => {
    it.effect("nobody may be called before an administrator says so, and then nobody else", () =>
      Effect.gen(function*() {
        const webhooks = yield* Webhooks
        const refused = (url: string) =>
          Effect.map(
            Effect.flip(webhooks.permit(acme, url)),
            (failure) =>
              failure._tag === "InvalidRequest" ? failure.details.map((d) => `${d.field} ${d.message}`).join() : failure
          )
        assert.deepEqual(yield* webhooks.read(acme), { allowedOrigins: [], secret: null })
        const unknown = "callback_url this tenant lets nothing call https://hooks.example.com: " +
          "an administrator allows it with PUT /admin/webhooks"
        assert.equal(yield* refused(url), unknown)
        yield* webhooks.allow(acme, ["https://hooks.example.com", "http://127.0.0.1:9000", "https://hooks.example.com"])
        assert.deepEqual((yield* webhooks.read(acme)).allowedOrigins, [
          "https://hooks.example.com",
          "http://127.0.0.1:9000"
        ])
        assert.equal(
          yield* refused(url),
          "callback_url there is nothing to sign with: an administrator makes a secret with POST /admin/webhooks/secret"
        )
        yield* webhooks.rotate(acme)
        for (const allowed of [url, "https://HOOKS.example.com:443", "http://127.0.0.1:9000/x"]) {
          yield* webhooks.permit(acme, allowed)
        }
        for (
          const [other, why] of [
            ["http://hooks.example.com/", /is not https$/u],
            ["https://hooks.example.com:8443/", /has a port other than 443$/u],
            ["https://hooks.example.com.evil.test/", /lets nothing call https:\/\/hooks\.example\.com\.evil\.test:/u],
            ["https://hooks.example.com@evil.test/", /has credentials in it$/u],
            ["https://evil.test/https://hooks.example.com", /lets nothing call/u],
            ["https://example.com/", /lets nothing call/u],
            ["ftp://hooks.example.com/", /is not https$/u],
            ["hooks.example.com", /is no URL$/u],
            ["https://hooks.example.com/\n", /is no URL$/u]
          ] as const
        ) assert.match(String(yield* refused(other)), why, other)
        const strange = yield* Effect.flip(webhooks.permit(TenantId.make("globex"), url))
        assert.equal(strange._tag, "InvalidRequest", "another tenant's are not ours")
      }))

    it.effect("what nothing could be sent to is no origin", () =>
      Effect.gen(function*() {
        const webhooks = yield* Webhooks
        const before = yield* webhooks.read(acme)
        const failure = yield* Effect.flip(webhooks.allow(acme, [
          "https://fine.example",
          "https://fine.example/path",
          "http://fine.example",
          "https://*.example",
          "https://0x7f.1"
        ]))
        assert.ok(failure._tag === "InvalidRequest")
        assert.deepEqual(failure.details, [
          {
            field: "allowed_origins.1",
            message: "is not an origin as it is written: https://fine.example"
          },
          { field: "allowed_origins.2", message: "is not https" },
          ...failure.details.slice(2)
        ])
        assert.deepEqual(failure.details.map(({ field }) => field).slice(2), ["allowed_origins.4"])
        assert.deepEqual(yield* webhooks.read(acme), before)
      }))

    it.effect("a secret that gives way signs beside the next for a day, and one that gives way twice is over", () =>
      Effect.gen(function*() {
        const webhooks = yield* Webhooks
        yield* webhooks.allow(acme, ["https://hooks.example.com"])
        const signedBy = (secret: Redacted.Redacted) =>
          Effect.map(
            webhooks.sign(acme, url, message),
            (headers) => verifies(Redacted.value(secret), { headers, body: "{}" })
          )
        const first = yield* webhooks.rotate(acme)
        const second = yield* webhooks.rotate(acme)
        assert.equal(second.state.previousUntil, second.state.madeAt + 86_400_000)
        assert.deepEqual([yield* signedBy(first.secret), yield* signedBy(second.secret)], [true, true])
        const third = yield* webhooks.rotate(acme)
        assert.deepEqual([yield* signedBy(first.secret), yield* signedBy(second.secret)], [false, true])
        yield* TestClock.adjust("24 hours")
        assert.deepEqual([yield* signedBy(second.secret), yield* signedBy(third.secret)], [false, true])
        assert.deepEqual((yield* webhooks.read(acme)).secret, { madeAt: third.state.madeAt, previousUntil: null })
        yield* webhooks.allow(acme, [])
        assert.equal((yield* Effect.flip(webhooks.sign(acme, url, message)))._tag, "CallbackRefused")
      }))

    it.effect("secrets lie encrypted, each for its tenant; without a key new ones lie as they are", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const webhooks = yield* Webhooks
        const [one, other] = [TenantId.make("one"), TenantId.make("other")]
        for (const tenant of [one, other]) yield* webhooks.allow(tenant, ["https://hooks.example.com"])
        const { secret } = yield* webhooks.rotate(one)
        yield* webhooks.rotate(other)
        const written = Effect.map(
          sql<{ secret: string }>`SELECT secret FROM tenant_webhooks WHERE tenant_id = 'one'`,
          ([row]) => row!.secret
        )
        const kept = yield* written
        assert.match(kept, /^gcm:/u)
        assert.ok(!kept.includes(Redacted.value(secret).slice(10, 30)))
        yield* webhooks.sign(one, url, message)
        // What is one's says nothing for the other, and nothing without the key.
        yield* sql`UPDATE tenant_webhooks SET secret = ${kept} WHERE tenant_id = 'other'`
        assert.equal((yield* Effect.flip(webhooks.sign(other, url, message)))._tag, "CallbackRefused")
        const with_ = (key: Redacted.Redacted | undefined) =>
          Effect.provide(Webhooks, Layer.fresh(Webhooks.layer({ rules, key })))
        for (const key of [undefined, Redacted.make("another key of the settings, too")]) {
          const blind = yield* with_(key)
          const failure = yield* Effect.flip(blind.sign(one, url, message))
          assert.ok(failure._tag === "CallbackRefused")
          assert.equal(failure.reason, "There is no secret to sign with that can be read.")
        }
        const open = yield* with_(undefined)
        const plain = yield* open.rotate(one)
        assert.equal(yield* written, `plain:${Redacted.value(plain.secret)}`)
        const headers = yield* webhooks.sign(one, url, message)
        assert.equal(verifies(Redacted.value(plain.secret), { headers, body: "{}" }), true, "a key that came later")
      }))
  })
}
