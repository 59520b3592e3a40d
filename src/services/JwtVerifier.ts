/**
 * Tokens of the configured issuer: who signed them, for whom, until when, and which caller they name.
 *
 * Keys come from the issuer's discovery document (OpenID Connect Discovery 1.0) at the first token that needs one, and
 * again when a token names a key that is not among them, so that the issuer may rotate. Nothing in a token chooses a key
 * but its `kid`: `jwk`, `jku` and `x5u` headers are never looked at. A token that is sound is remembered for a minute.
 */
import { Context, Effect, Layer, Redacted } from "effect"
import { decodeJwt, decodeProtectedHeader, jwtVerify } from "jose"
import type { JWTPayload } from "jose"
import { hash } from "node:crypto"
import { StorageUnavailable, TokenInvalid } from "../domain/Failure.ts"
import { userOf } from "./JwtVerifier/Claims.ts"
import type { TokenUser } from "./JwtVerifier/Claims.ts"
import { isAboutToken, Issuer, sameIssuer } from "./JwtVerifier/Issuer.ts"

/** Public-key signatures only: with a shared secret (HS256), the issuer's published key would be one. */
const algorithms = ["RS256", "ES256"]
/** RFC 9068 access tokens, plain JWTs, and tokens that do not say. A logout or DPoP token is no access token. */
const types = new Set(["at+jwt", "application/at+jwt", "jwt"])
/** Longer than any real token; nothing above it is hashed or parsed. */
const tokenCharactersMax = 16_384
/** Two well-kept clocks are no further apart. */
const clockToleranceSeconds = 5
/** How long a revoked key or user may still be let in here. */
const rememberedMillisMax = 60_000
/** About 5 MB. The longest remembered goes first. */
const rememberedMax = 10_000

export interface JwtVerifierOptions {
  /** The issuer, as its tokens name it in `iss`; `/.well-known/openid-configuration` lies below it. */
  readonly url: string
  /** What `aud` has to name. Without it, a token for any audience of the issuer is let in. */
  readonly audience?: string | undefined
  /** ms after the keys were fetched before an unknown `kid` may have them fetched again. 5 000 if absent. */
  readonly refetchAfterMillis?: number
}

export class JwtVerifier extends Context.Service<JwtVerifier, {
  /** `StorageUnavailable` when the issuer's keys are needed and it does not answer: the token may be good. */
  readonly verify: (token: Redacted.Redacted) => Effect.Effect<TokenUser, TokenInvalid | StorageUnavailable>
}>()("scaispeak/JwtVerifier") {
  /** Building it does no I/O: the issuer may be away when the program starts. */
  static readonly layer = (options: JwtVerifierOptions) => Layer.sync(JwtVerifier, () => make(options))

  /** No issuer is configured: no token is valid. */
  static readonly layerNone = Layer.succeed(JwtVerifier, { verify: () => Effect.fail(new TokenInvalid()) })
}

const make = (options: JwtVerifierOptions): JwtVerifier["Service"] => {
  const issuer = new Issuer(options.url, options.refetchAfterMillis)
  const remembered = new Map<string, { readonly user: TokenUser; readonly untilMillis: number }>()

  /** What anybody can see to be wrong, so that it costs the issuer no request. */
  const isFit = (token: string, nowMillis: number): boolean => {
    try {
      const { alg, typ } = decodeProtectedHeader(token)
      const { exp, iss } = decodeJwt(token)
      return algorithms.includes(alg ?? "") && (typ === undefined || types.has(typ.toLowerCase())) &&
        sameIssuer(iss, options.url) && exp !== undefined && exp * 1000 > nowMillis - clockToleranceSeconds * 1000
    } catch {
      return false
    }
  }

  const check = async (token: string, nowMillis: number): Promise<JWTPayload> => {
    const { keys, name } = await issuer.discovered()
    const { payload } = await jwtVerify(token, keys, {
      algorithms,
      issuer: name,
      ...(options.audience === undefined ? {} : { audience: options.audience }),
      requiredClaims: ["exp", "sub"],
      clockTolerance: clockToleranceSeconds,
      currentDate: new Date(nowMillis)
    })
    return payload
  }

  const verifyAnew = Effect.fn("JwtVerifier.verify")(function*(token: string, digest: string, nowMillis: number) {
    if (!isFit(token, nowMillis)) return yield* new TokenInvalid()
    const payload = yield* Effect.tryPromise({
      try: () => check(token, nowMillis),
      catch: (cause) => isAboutToken(cause) ? new TokenInvalid() : new StorageUnavailable({ store: "issuer", cause })
    })
    const user = yield* Effect.mapError(userOf(payload), () => new TokenInvalid())
    const expiresMillis = (payload.exp ?? 0) * 1000
    remembered.set(digest, { user, untilMillis: Math.min(nowMillis + rememberedMillisMax, expiresMillis) })
    const [oldest] = remembered.keys()
    if (remembered.size > rememberedMax && oldest !== undefined) remembered.delete(oldest)
    return user
  })

  return {
    verify: (redacted) =>
      Effect.clockWith((clock) => {
        const token = Redacted.value(redacted)
        if (token.length > tokenCharactersMax) return Effect.fail(new TokenInvalid())
        const digest = hash("sha256", token, "base64")
        const known = remembered.get(digest)
        const now = clock.currentTimeMillisUnsafe()
        if (known !== undefined && now < known.untilMillis) return Effect.succeed(known.user)
        remembered.delete(digest)
        return verifyAnew(token, digest, now)
      })
  }
}
