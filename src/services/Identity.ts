/** Who is calling: an API key (`sgk_…`) or a token of the configured issuer, told apart by their shape alone. */
import { Context, Effect, Layer, Redacted } from "effect"
import { TokenInvalid, TokenMissing } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { ApiKeys } from "./ApiKeys.ts"
import { JwtVerifier } from "./JwtVerifier.ts"

/** Longer than any real token; nothing above it is hashed or parsed. */
const tokenCharactersMax = 16_384

export class Identity extends Context.Service<Identity, {
  /** The empty token is a missing one. */
  readonly authenticate: (
    token: Redacted.Redacted
  ) => Effect.Effect<AuthUser, TokenMissing | TokenInvalid | StorageUnavailable>
}>()("scaispeak/Identity") {
  static readonly layer = Layer.effect(
    Identity,
    Effect.gen(function*() {
      const keys = yield* ApiKeys
      const jwt = yield* JwtVerifier
      return Identity.of({
        authenticate: Effect.fn("Identity.authenticate")(function*(token) {
          const text = Redacted.value(token)
          if (text === "") return yield* new TokenMissing()
          if (text.length > tokenCharactersMax) return yield* new TokenInvalid()
          return yield* text.startsWith("sgk_") ? keys.authenticate(token) : jwt.verify(token)
        })
      })
    })
  )
}
