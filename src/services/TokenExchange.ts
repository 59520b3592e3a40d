/**
 * A caller's token for one of ScaiDrive's, at ScaiKey (RFC 8693), so that files are read and written as the caller.
 *
 * An exchanged token is kept in memory alone, under the token that it was made from, until shortly before it ends. An API
 * key is nothing that ScaiKey knows: it never gets here.
 */
import { Clock, Context, Effect, Layer, Redacted, Schema, Stream } from "effect"
import { hash } from "node:crypto"
import { InvalidRequest, StorageUnavailable } from "../domain/Failure.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { Issuer } from "./JwtVerifier/Issuer.ts"
import { SafeHttp } from "./SafeHttp.ts"

/** A caller with the token that it came with. */
export interface TokenBearer {
  readonly user: AuthUser
  readonly token: Redacted.Redacted
}

export interface TokenExchangeOptions {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: Redacted.Redacted
  /** Whom the exchanged token is for. */
  readonly audience: string
}

/** About 4 MB. The longest kept goes first. */
const keptMax = 1_000
/** A token is not used in its last moments: a transfer that it begins is to end under it. */
const marginMillis = 30_000
const answerBytesMax = 64 * 1024
const exchangeMillisMax = 5_000

const Answer = Schema.fromJsonString(Schema.Struct({
  access_token: Schema.NonEmptyString.check(Schema.isMaxLength(16_384)),
  token_type: Schema.String,
  /** Seconds. */
  expires_in: Schema.optional(Schema.Finite)
}))
const decode = Schema.decodeUnknownEffect(Answer)

export class TokenExchange extends Context.Service<TokenExchange, {
  /** `field`: what of the request needs it, for the refusal. */
  readonly exchange: (
    bearer: TokenBearer,
    field: string
  ) => Effect.Effect<Redacted.Redacted, InvalidRequest | StorageUnavailable>
}>()("scaispeak/TokenExchange") {
  static readonly layer = (options: TokenExchangeOptions) => Layer.effect(TokenExchange, make(options))

  /** None is configured: nothing can be exchanged. */
  static readonly layerOff = Layer.succeed(TokenExchange, {
    exchange: (_, field) => Effect.fail(InvalidRequest.field(field, "this server has no ScaiDrive"))
  })
}

const make = Effect.fnUntraced(function*({ audience, clientId, clientSecret, issuer }: TokenExchangeOptions) {
  const http = yield* SafeHttp
  const names = new Issuer(issuer)
  const kept = new Map<string, { readonly token: Redacted.Redacted; readonly untilMillis: number }>()
  /** RFC 6749 §2.3.1. */
  const credentials = [clientId, Redacted.value(clientSecret)].map((text) =>
    new URLSearchParams({ text }).toString().slice("text=".length)
  ).join(":")
  const authorization = `Basic ${Buffer.from(credentials).toString("base64")}`

  const ask = Effect.fnUntraced(function*(token: Redacted.Redacted) {
    const { tokenEndpoint } = yield* Effect.tryPromise({ try: () => names.discovered(), catch: away })
    if (tokenEndpoint === undefined) return yield* away("the issuer names no token endpoint")
    const answer = yield* http.request({
      url: tokenEndpoint,
      ours: true,
      method: "POST",
      headers: { authorization, "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: Buffer.from(
        new URLSearchParams({
          grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
          subject_token: Redacted.value(token),
          subject_token_type: accessToken,
          requested_token_type: accessToken,
          audience
        }).toString()
      ),
      bytesMax: answerBytesMax,
      timeoutMs: exchangeMillisMax
    })
    const text = Buffer.concat(yield* Stream.runCollect(answer.body)).toString()
    return { status: answer.status, text }
  }, Effect.scoped)

  const exchange = Effect.fn("TokenExchange.exchange")(function*({ token, user }: TokenBearer, field: string) {
    if (user.credential.kind !== "jwt") {
      return yield* InvalidRequest.field(field, "needs a user's token, not an API key")
    }
    const digest = hash("sha256", Redacted.value(token), "base64")
    const known = kept.get(digest)
    const begun = yield* Clock.currentTimeMillis
    if (known !== undefined && begun < known.untilMillis) return known.token
    kept.delete(digest)
    const { status, text } = yield* Effect.catchTag(
      ask(token),
      "OutboundFailed",
      ({ reason }) => Effect.fail(away(`the token endpoint ${reason}`))
    )
    // A refusal speaks of this token (RFC 8693 §2.2.2), except that 401 speaks of our own client (RFC 6749 §5.2).
    if (status === 400 || status === 403) {
      return yield* InvalidRequest.field(field, "ScaiKey does not let you use ScaiDrive")
    }
    if (status !== 200) return yield* away(`the token endpoint answered ${status}`)
    const made = yield* Effect.mapError(decode(text), () => away("the token endpoint answered with no token"))
    if (made.token_type.toLowerCase() !== "bearer") return yield* away(`the issuer gave a token of another type`)
    const exchanged = Redacted.make(made.access_token)
    const untilMillis = begun + (made.expires_in ?? 0) * 1000 - marginMillis
    if (untilMillis > begun) {
      kept.set(digest, { token: exchanged, untilMillis })
      const [oldest] = kept.keys()
      if (kept.size > keptMax && oldest !== undefined) kept.delete(oldest)
    }
    return exchanged
  })

  return TokenExchange.of({ exchange })
})

const accessToken = "urn:ietf:params:oauth:token-type:access_token"

/** The reason is for the log and holds no token. */
const away = (cause: unknown) => new StorageUnavailable({ store: "issuer", cause })
