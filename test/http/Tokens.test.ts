/** Callers who bring a token of the issuer, a real OpenID provider. */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { get, send, TestServer } from "../layers/TestServer.ts"
import { audience, type Oidc, startOidc } from "../servers/oidc.ts"

class Issuer extends Context.Service<Issuer, Oidc>()("test/Issuer") {
  static readonly layer = Layer.effect(
    Issuer,
    Effect.acquireRelease(Effect.promise(startOidc), (oidc) => Effect.promise(() => oidc.stop()))
  )
}

const Service = Layer.unwrap(
  Effect.map(
    Issuer,
    ({ issuer }) => TestServer.layer({ SCAISPEAK_SCAIKEY_ISSUER: issuer, SCAISPEAK_SCAIKEY_AUDIENCE: audience })
  )
).pipe(Layer.provideMerge(Issuer.layer))

const good = { text: "Anything.", voice_id: "vox_scripted_say" }

const token = (claims: Record<string, unknown>, scope?: string) =>
  Effect.flatMap(
    Issuer,
    (oidc) => Effect.promise(() => oidc.token({ claims, ...(scope === undefined ? {} : { scope }) }))
  )

layer(Service, { excludeTestServices: true })("callers with a token", (it) => {
  it.effect("speak when their role or a scope allows it", () =>
    Effect.gen(function*() {
      const { url } = yield* TestServer
      const admin = yield* token({ sub: "root", tenant_id: "first-seen", role: "tenant_admin" })
      assert.equal((yield* send("POST", `${url}/speak`, good, admin)).status, 200)
      const user = { sub: "ada", tenant_id: "first-seen", role: "tenant_user" }
      const plain = yield* send("POST", `${url}/speak`, good, yield* token(user))
      assert.equal(plain.json.error.code, "AUTHZ_PERMISSION_DENIED")
      assert.equal((yield* send("POST", `${url}/speak`, good, yield* token(user, "scaispeak:synthesize"))).status, 200)
    }))

  it.effect("bring their tenant and themselves into being", () =>
    Effect.gen(function*() {
      const { url } = yield* TestServer
      const admin = yield* token({ sub: "root", tenant_id: "newcomers", role: "tenant_admin" })
      assert.deepEqual((yield* get(`${url}/admin/policy`, admin)).json.data.allowed_backends, ["A", "B"])
      yield* get(`${url}/voices`, yield* token({ sub: "eve", tenant_id: "newcomers", role: "tenant_viewer" }))
      const made = yield* send(
        "POST",
        `${url}/admin/api-keys`,
        { name: "for eve", user_id: "eve", permissions: ["scaispeak:voice.read"] },
        admin
      )
      assert.equal(made.status, 201, "a user met in a token can own a key")
      assert.equal(made.json.data.user_id, "eve")
    }))

  it.effect("are told that save_to has nowhere to go, before anything is spoken", () =>
    Effect.gen(function*() {
      const { node, url } = yield* TestServer
      const admin = yield* token({ sub: "root", tenant_id: "first-seen", role: "tenant_admin" })
      const before = node.requests.length
      const { json, status } = yield* send("POST", `${url}/speak`, { ...good, save_to: { share_id: "s1" } }, admin)
      assert.equal(status, 422)
      assert.equal(json.error.details[0].field, "save_to")
      assert.equal(node.requests.length, before)
    }))

  it.effect("are refused with a token for somebody else", () =>
    Effect.gen(function*() {
      const { url } = yield* TestServer
      const oidc = yield* Issuer
      const elsewhere = yield* Effect.promise(() => oidc.token({ audience: "urn:other" }))
      assert.equal((yield* get(`${url}/voices`, elsewhere)).json.error.code, "AUTH_TOKEN_INVALID")
    }))
})
