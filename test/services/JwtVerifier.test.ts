/** Against a real OpenID provider that rotates its keys, stops and comes back; and against tokens made to deceive. */
import { describe, it, layer } from "@effect/vitest"
import { Context, Duration, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { base64url, decodeJwt, decodeProtectedHeader, exportJWK, generateKeyPair, SignJWT } from "jose"
import assert from "node:assert/strict"
import { createPublicKey } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { JwtVerifier, type JwtVerifierOptions } from "../../src/services/JwtVerifier.ts"
import { audience, type Oidc, startOidc } from "../servers/oidc.ts"

class Provider extends Context.Service<Provider, Oidc>()("test/Provider") {
  static readonly layer = Layer.effect(
    Provider,
    Effect.acquireRelease(Effect.promise(startOidc), (oidc) => Effect.promise(() => oidc.stop()))
  )
}

const connect = (options: JwtVerifierOptions) =>
  Effect.flatMap(Layer.build(JwtVerifier.layer(options)), (context) => Effect.provide(JwtVerifier, context))

/** A verifier of its own, with nothing remembered; the clock is the real time's, as the tokens are. */
const fresh = Effect.gen(function*() {
  const oidc = yield* Provider
  const verifier = yield* connect({ url: oidc.issuer, audience, refetchAfterMillis: 50 })
  return { oidc, verify: (token: string) => verifier.verify(Redacted.make(token)) }
})

const refused = (
  verify: (token: string) => Effect.Effect<unknown, { readonly _tag: string }>,
  token: string,
  why: string
) => Effect.map(Effect.flip(Effect.asVoid(verify(token))), (failure) => assert.equal(failure._tag, "TokenInvalid", why))

const nowSeconds = () => Math.floor(Date.now() / 1000)

const header = (value: object) => base64url.encode(JSON.stringify(value))

layer(Provider.layer, { excludeTestServices: true })("JwtVerifier", (it) => {
  for (const alg of ["RS256", "ES256"] as const) {
    it.effect(`reads the caller from an ${alg} token`, () =>
      Effect.gen(function*() {
        const { oidc, verify } = yield* fresh
        const token = yield* Effect.promise(() =>
          oidc.token({
            alg,
            scope: "openid scaispeak:synthesize scaidrive:write",
            claims: { partner_id: "p1", email: "ada@example.org", act: { sub: "operator" }, role: "tenant_viewer" }
          })
        )
        assert.equal(decodeProtectedHeader(token).alg, alg)
        assert.deepEqual(yield* verify(token), {
          userId: "user-1",
          tenantId: "tenant-1",
          partnerId: "p1",
          role: "tenant_viewer",
          permissions: new Set(["scaispeak:voice.read", "scaispeak:synthesize"]),
          credential: { kind: "jwt" },
          email: "ada@example.org",
          actorId: "operator"
        })
      }))
  }

  const callers: ReadonlyArray<readonly [string, Record<string, unknown>, string, ReadonlyArray<string>]> = [
    ["no role", { role: undefined }, "tenant_user", []],
    ["a null role", { role: null }, "tenant_user", []],
    ["a role of somebody else's", { role: "warehouse_clerk" }, "tenant_user", []],
    ["the name of an object's property for a role", { role: "constructor" }, "tenant_user", []]
  ]
  for (const [name, changes, role, permissions] of callers) {
    it.effect(`grants nothing to ${name}`, () =>
      Effect.gen(function*() {
        const { oidc, verify } = yield* fresh
        const user = yield* verify(yield* Effect.promise(() => oidc.token({ claims: changes })))
        assert.deepEqual([user.role, [...user.permissions]], [role, permissions])
      }))
  }

  const wrongClaims: ReadonlyArray<readonly [string, Record<string, unknown>]> = [
    ["no tenant", { tenant_id: undefined }],
    ["a tenant that is no name", { tenant_id: 7 }],
    ["a tenant name beyond bounds", { tenant_id: "x".repeat(129) }],
    ["no subject", { sub: undefined }],
    ["an empty subject", { sub: "" }],
    ["no expiry", { exp: undefined }],
    ["an expiry in the past", { exp: nowSeconds() - 6 }],
    ["an expiry that is no number", { exp: "tomorrow" }],
    ["a beginning in the future", { nbf: nowSeconds() + 60 }],
    ["another issuer's name", { iss: "https://evil.example" }],
    ["another audience", { aud: "urn:scaidrive" }],
    ["no audience", { aud: undefined }],
    ["a scope that is no text", { scope: { a: 1 } }],
    ["an actor without a name", { act: {} }]
  ]
  it.effect("refuses tokens that the issuer signed with claims that do not do", () =>
    Effect.gen(function*() {
      const { oidc, verify } = yield* fresh
      const good = decodeJwt(yield* Effect.promise(() => oidc.token()))
      for (const [why, changes] of wrongClaims) {
        yield* refused(verify, yield* Effect.promise(() => oidc.sign({ ...good, ...changes })), why)
      }
      // The same, with nothing wrong: what is refused above is refused for its claim.
      yield* verify(
        yield* Effect.promise(() => oidc.sign({ ...good, aud: ["urn:x", audience], nbf: nowSeconds() - 1 }))
      )
    }))

  it.effect("allows for clocks that are a few seconds apart", () =>
    Effect.gen(function*() {
      const { oidc, verify } = yield* fresh
      yield* verify(yield* Effect.promise(() => oidc.token({ claims: { exp: nowSeconds() - 2 } })))
      yield* verify(yield* Effect.promise(() => oidc.token({ claims: { nbf: nowSeconds() + 3 } })))
    }))

  it.effect("refuses tokens that the issuer did not sign as they are", () =>
    Effect.gen(function*() {
      const { oidc, verify } = yield* fresh
      const good = yield* Effect.promise(() => oidc.token())
      const hostile = yield* Effect.promise(() => hostileTokens(oidc, good))
      for (const [why, token] of hostile) yield* refused(verify, token, why)
      yield* verify(good)
      // With the keys at hand, and with the good token remembered.
      for (const [why, token] of hostile) yield* refused(verify, token, why)
    }))

  it.effect("takes any audience where none is configured", () =>
    Effect.gen(function*() {
      const { issuer, token } = yield* Provider
      const verifier = yield* connect({ url: `${issuer}/`, audience: undefined })
      const other = yield* Effect.promise(() => token({ audience: "urn:other" }))
      assert.equal((yield* verifier.verify(Redacted.make(other))).userId, "user-1")
    }))

  it.effect("follows the issuer to new keys, and leaves withdrawn ones", () =>
    Effect.gen(function*() {
      const { oidc, verify } = yield* fresh
      const before = yield* Effect.promise(() => oidc.token())
      yield* verify(before)
      yield* Effect.promise(() => oidc.rotate())
      yield* Effect.sleep("60 millis")
      const after = yield* Effect.promise(() => oidc.token())
      assert.notEqual(decodeProtectedHeader(after).kid, decodeProtectedHeader(before).kid)
      yield* verify(after)
      yield* verify(yield* Effect.promise(() => oidc.token({ alg: "ES256" })))

      yield* Effect.promise(() => oidc.rotate({ withdraw: true }))
      yield* Effect.sleep("60 millis")
      yield* verify(yield* Effect.promise(() => oidc.token()))
      const verifier = yield* connect({ url: oidc.issuer, audience })
      yield* refused((token) => verifier.verify(Redacted.make(token)), before, "a withdrawn key")
    }))
})

/** Tokens that have everything of the good one but the issuer's signature over it. */
const hostileTokens = async (oidc: Oidc, good: string): Promise<ReadonlyArray<readonly [string, string]>> => {
  const [head, payload, signature] = good.split(".") as [string, string, string]
  const body = decodeJwt(good)
  const { kid } = decodeProtectedHeader(good) as { kid: string }
  const { keys } = await (await fetch(`${oidc.issuer}/jwks`)).json() as { keys: ReadonlyArray<Record<string, string>> }
  const published = keys.find((key) => key.kid === kid)!
  const spki = createPublicKey({ format: "jwk", key: published }).export({ format: "pem", type: "spki" }).toString()
  const own = await generateKeyPair("RS256", { extractable: true })
  const ownPublic = { ...await exportJWK(own.publicKey), kid, alg: "RS256", use: "sig" }
  const sign = (changes: object) =>
    new SignJWT(body).setProtectedHeader({ alg: "RS256", kid, ...changes }).sign(own.privateKey)
  const hmac = (secret: string) =>
    new SignJWT(body).setProtectedHeader({ alg: "HS256", kid }).sign(new TextEncoder().encode(secret))
  const raised = base64url.encode(JSON.stringify({ ...body, role: "super_admin" }))
  return [
    ["nothing", "x"],
    ["no token", "a.b.c"],
    ["a part too few", `${head}.${payload}`],
    ["a part too many", `${good}.x`],
    ["alg none", `${header({ alg: "none" })}.${payload}.`],
    ["alg None, signed by nobody", `${header({ alg: "None", kid })}.${payload}.${signature}`],
    ["the public key as a secret (PEM)", await hmac(spki)],
    ["the public key as a secret (modulus)", await hmac(published.n!)],
    ["a key of its own under the issuer's kid", await sign({})],
    ["a kid that nobody published", await sign({ kid: "nobody" })],
    ["no kid", await sign({ kid: undefined })],
    ["its own key in the header", await sign({ jwk: ownPublic })],
    ["its own key by address", await sign({ jku: "http://127.0.0.1:9/jwks", x5u: "http://127.0.0.1:9/cert" })],
    ["a demand that nobody understands", await sign({ crit: ["b64"], b64: true })],
    ["another kind of token", await sign({ typ: "logout+jwt" })],
    ["a raised role", `${head}.${raised}.${signature}`],
    ["another header over the same signature", `${header({ alg: "ES256", kid })}.${payload}.${signature}`],
    [
      "a flipped signature",
      `${head}.${payload}.${signature.slice(0, -4)}${signature.slice(-4) === "AAAA" ? "BBBB" : "AAAA"}`
    ],
    ["a payload that is no object", `${head}.${base64url.encode("[1]")}.${signature}`],
    ["a huge one", `${head}.${base64url.encode(JSON.stringify({ ...body, x: "x".repeat(1_000_000) }))}.${signature}`],
    ["text that is no token at all", "é".repeat(200)]
  ]
}

describe("JwtVerifier without its issuer", () => {
  const oidc = Effect.acquireRelease(Effect.promise(startOidc), (oidc) => Effect.promise(() => oidc.stop()))

  it.live("says that the issuer is away, and recovers by itself", () =>
    Effect.gen(function*() {
      const provider = yield* oidc
      const verifier = yield* connect({ url: provider.issuer, audience, refetchAfterMillis: 0 })
      const verify = (token: string) => verifier.verify(Redacted.make(token))
      const [one, two, three] = yield* Effect.promise(() =>
        Promise.all([provider.token(), provider.token(), provider.token({ alg: "ES256" })])
      )
      yield* Effect.promise(() => provider.kill())
      const failure = yield* Effect.flip(verify(one))
      assert.ok(failure._tag === "StorageUnavailable" && failure.store === "issuer")
      // What is visibly wrong is wrong without asking.
      yield* refused(verify, "a.b.c", "no token")
      yield* refused(verify, `${header({ alg: "none" })}.${one.split(".")[1]}.`, "alg none")

      yield* Effect.promise(() => provider.start())
      yield* Effect.sleep("1100 millis")
      yield* verify(one)
      // Keys that are at hand outlast the issuer.
      yield* Effect.promise(() => provider.kill())
      yield* verify(two)
      yield* verify(three)
      // A key that is not at hand may be a new one: only the issuer could say.
      const own = yield* Effect.promise(() => generateKeyPair("RS256"))
      const unknown = yield* Effect.promise(() =>
        new SignJWT(decodeJwt(one)).setProtectedHeader({ alg: "RS256", kid: "new" }).sign(own.privateKey)
      )
      assert.equal((yield* Effect.flip(verify(unknown)))._tag, "StorageUnavailable")
    }))

  it.live("does not wait for an issuer that hangs longer than two seconds, once for all callers", () =>
    Effect.gen(function*() {
      const provider = yield* oidc
      const verifier = yield* connect({ url: provider.issuer, audience })
      const token = Redacted.make(yield* Effect.promise(() => provider.token()))
      provider.pause()
      const [waited] = yield* Effect.timed(
        Effect.all(Array.from({ length: 20 }, () => Effect.flip(verifier.verify(token))), { concurrency: "unbounded" })
      )
      assert.ok(Duration.toMillis(waited) < 3_500, `${Duration.toMillis(waited)} ms`)
      const [again] = yield* Effect.timed(Effect.flip(verifier.verify(token)))
      assert.ok(Duration.toMillis(again) < 1_000)
      provider.resume()
    }))

  it.live("does not believe a discovery document that speaks for another issuer", () =>
    Effect.gen(function*() {
      const provider = yield* oidc
      // Answers everything with the provider's own document.
      const document = yield* Effect.promise(async () =>
        (await fetch(`${provider.issuer}/.well-known/openid-configuration`)).text()
      )
      const impostor = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const server = createServer((_, response) => response.end(document))
          server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const url = `http://127.0.0.1:${(impostor.address() as AddressInfo).port}`
      const verifier = yield* connect({ url, audience })
      const token = yield* Effect.promise(() => provider.token({ claims: { iss: url } }))
      assert.equal((yield* Effect.flip(verifier.verify(Redacted.make(token))))._tag, "StorageUnavailable")
    }))

  it.effect("remembers a token for a minute, and never beyond its expiry", () =>
    Effect.gen(function*() {
      const provider = yield* oidc
      const now = Date.now()
      yield* TestClock.setTime(now)
      const verifier = yield* connect({ url: provider.issuer, audience })
      const exp = Math.floor(now / 1000) + 30
      const [long, short] = yield* Effect.promise(() =>
        Promise.all([provider.token(), provider.token({ claims: { exp } })])
      )
      const verify = (token: string) => verifier.verify(Redacted.make(token))
      yield* verify(long)
      yield* verify(short)
      // Withdrawn keys show whether a token is looked at again: the same verifier, its keys fetched anew.
      assert.equal(yield* verify(long), yield* verify(long))
      const first = yield* verify(long)
      yield* TestClock.setTime(exp * 1000 + 5_000)
      yield* refused(verify, short, "expired since")
      assert.equal(yield* verify(long), first)
      yield* TestClock.setTime(now + 60_000)
      assert.notEqual(yield* verify(long), first)
    }))

  it.effect("lets nobody in when no issuer is configured", () =>
    Effect.gen(function*() {
      const provider = yield* oidc
      const token = Redacted.make(yield* Effect.promise(() => provider.token()))
      const failure = yield* Effect.flip(JwtVerifier.use((verifier) => verifier.verify(token)))
      assert.equal(failure._tag, "TokenInvalid")
    }).pipe(Effect.provide(JwtVerifier.layerNone)))
})
