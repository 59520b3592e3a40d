/**
 * Who is calling: an API key (`sgk_…`) or a token of the configured issuer, told apart by their shape alone. A tenant or
 * user first met in a token gets its row, and the tenant its default policy.
 */
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { TokenInvalid, TokenMissing } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { ApiKeys } from "./ApiKeys.ts"
import { orUnavailable } from "./Database.ts"
import { JwtVerifier } from "./JwtVerifier.ts"
import { provisionUser } from "./sql/Provision.ts"
import { step } from "./Trace.ts"

/** Longer than any real token; nothing above it is hashed or parsed. */
const tokenCharactersMax = 16_384
/** Users whose rows are known to be current; beyond it all are looked at anew. About 3 MB. */
const metMax = 20_000

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
      const sql = yield* SqlClient.SqlClient
      const met = new Set<string>()

      const meet = Effect.fnUntraced(function*(user: AuthUser) {
        const facts = JSON.stringify([user.tenantId, user.userId, user.role, user.partnerId])
        if (met.has(facts)) return user
        yield* orUnavailable(Effect.provideService(provisionUser(user), SqlClient.SqlClient, sql))
        if (met.size >= metMax) met.clear()
        met.add(facts)
        return user
      })

      return Identity.of({
        authenticate: Effect.fnUntraced(function*(token) {
          const text = Redacted.value(token)
          if (text === "") return yield* new TokenMissing()
          if (text.length > tokenCharactersMax) return yield* new TokenInvalid()
          return yield* text.startsWith("sgk_")
            ? keys.authenticate(token)
            : Effect.flatMap(jwt.verify(token), meet)
        }, step("Identity.authenticate"))
      })
    })
  )
}
