/**
 * A ScaiKey of the tests' own: `oidc-provider`, which issues JWT access tokens to one client, with the claims that the
 * request asks for in `test_claims` (JSON), signed with `test_alg`.
 *
 * It exchanges tokens for those of other audiences (RFC 8693).
 *
 * Arguments: port, and a folder in which the keys outlive the process. `POST /test/sign` signs any `payload`. `POST
 * /test/rotate` begins to sign with new keys; `?withdraw=true` also stops publishing the old ones.
 */
import {
  CompactSign,
  createLocalJWKSet,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK as JoseJwk,
  jwtVerify
} from "jose"
import { randomUUID } from "node:crypto"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { createServer, type RequestListener } from "node:http"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { errors, type JWK, type KoaContextWithOIDC, Provider } from "oidc-provider"

const [port, folder] = process.argv.slice(2) as [string, string]
const issuer = `http://127.0.0.1:${port}`
const keysFile = join(folder, "keys.json")
let generation = 0

const newKeys = async (): Promise<ReadonlyArray<JWK>> => {
  generation++
  return Promise.all(["RS256", "ES256"].map(async (alg): Promise<JWK> => {
    const { privateKey } = await generateKeyPair(alg, { extractable: true })
    const facts = { alg, use: "sig", kid: `${alg}-${process.pid}-${generation}` }
    return Object.assign(await exportJWK(privateKey), facts) as JWK
  }))
}

/** What the token request asks for beyond the protocol. */
const asked = (body: Record<string, unknown> | undefined) => ({
  alg: body?.test_alg === "ES256" ? "ES256" as const : "RS256" as const,
  claims: JSON.parse(String(body?.test_claims ?? "{}")) as Record<string, unknown>
})

const tokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
/** Since the start. */
let exchanges = 0

/**
 * RFC 8693, for the client that the provider has authenticated: a token of this issuer for one of the same person and
 * another audience. Tokens with `"exchange": false` are refused.
 */
const exchange = async ({ oidc }: KoaContextWithOIDC, answer: (body: unknown) => void) => {
  const { audience = "", subject_token = "", subject_token_type } = oidc.params as Record<string, string | undefined>
  const isRefused = () => new errors.InvalidGrant("the subject token is not to be exchanged")
  if (subject_token_type !== "urn:ietf:params:oauth:token-type:access_token") throw isRefused()
  const { payload } = await jwtVerify(subject_token, createLocalJWKSet(published()), {
    issuer
  })
    .catch(() => {
      throw isRefused()
    })
  if (payload["exchange"] === false) throw isRefused()
  exchanges++
  const { exp: _, ...claims } = payload
  const expires_in = Number(payload["exchanged_seconds"] ?? 300)
  const exp = Math.floor(Date.now() / 1000) + expires_in
  answer({
    access_token: await signed({
      ...claims,
      exp,
      aud: audience,
      act: { sub: oidc.client?.clientId },
      jti: randomUUID()
    }),
    issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
    token_type: "Bearer",
    expires_in
  })
}

const provider = (keys: ReadonlyArray<JWK>): RequestListener => {
  const made = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: "scaispeak-test",
      client_secret: "not-a-secret-at-all",
      grant_types: ["client_credentials", tokenExchange],
      redirect_uris: [],
      response_types: []
    }],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, resource) => ({
          scope: String(ctx.oidc.body?.scope ?? ""),
          audience: resource,
          accessTokenTTL: 600,
          accessTokenFormat: "jwt",
          jwt: { sign: { alg: asked(ctx.oidc.body).alg } }
        })
      }
    },
    formats: {
      customizers: {
        jwt: (ctx, _, parts) => {
          Object.assign(parts.payload, asked(ctx.oidc.body).claims)
        }
      }
    }
  })
  made.registerGrantType(
    tokenExchange,
    (ctx) =>
      exchange(ctx, (body) => {
        ctx.body = body
      }),
    ["audience", "subject_token", "subject_token_type", "requested_token_type"]
  )
  return made.callback()
}

const sign = (form: string): Promise<string> => signed(JSON.parse(new URLSearchParams(form).get("payload") ?? "{}"))

const signed = async (payload: Record<string, unknown>): Promise<string> => {
  const { alg = "", kid = "", ...key } = stored()[0] as JWK & JoseJwk
  return new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg, kid, typ: "at+jwt" })
    .sign(await importJWK(key, alg))
}

const load = async (keys: ReadonlyArray<JWK>): Promise<RequestListener> => {
  writeFileSync(keysFile, JSON.stringify(keys))
  return provider(keys)
}

const stored = (): ReadonlyArray<JWK> => JSON.parse(readFileSync(keysFile, "utf8"))

const published = () => ({
  keys: (stored() as ReadonlyArray<JoseJwk>).map(({ alg, crv, e, kid, kty, n, x, y }) =>
    JSON.parse(JSON.stringify({ alg, crv, e, kid, kty, n, x, y })) as JoseJwk
  )
})

let listener = await load(existsSync(keysFile) ? stored() : await newKeys())

createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? "/", issuer)
  if (pathname === "/test/sign") return response.end(await sign(await text(request)))
  if (pathname === "/test/exchanges") return response.end(String(exchanges))
  if (pathname !== "/test/rotate") return listener(request, response)
  const keys = await newKeys()
  listener = await load(searchParams.get("withdraw") === "true" ? keys : [...keys, ...stored()])
  response.end("rotated")
}).listen(Number(port), "127.0.0.1")
