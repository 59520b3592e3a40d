/**
 * Whom a tenant lets its jobs call back, and what those calls are signed with.
 *
 * Nobody at first: an administrator names origins, and makes the secret that their calls are signed with. Both are looked at
 * when a job is taken and again at each call, so that what is withdrawn ends with the next one. A secret that gives way to a
 * new one signs beside it for a day; given way to twice, it is over at once.
 */
import { Clock, Context, Data, Effect, Layer, Redacted, Result } from "effect"
import { SqlClient } from "effect/sql"
import { InvalidRequest } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { TenantId } from "../domain/Ids.ts"
import { decideUrl } from "../domain/OutboundUrl.ts"
import type { OutboundRules } from "../domain/OutboundUrl.ts"
import { orUnavailable } from "./Database.ts"
import { forUpdate, keepExisting } from "./sql/Dialect.ts"
import * as Seal from "./Webhooks/Seal.ts"
import { headersOf, makeSecret } from "./Webhooks/Signature.ts"
import type { Message } from "./Webhooks/Signature.ts"

/** How long a secret stays good beside the one that follows it. */
const rotationMillis = 24 * 3_600_000

/** Times in epoch ms. */
export interface SecretState {
  readonly madeAt: number
  /** Until when the one before it signs, too; null when it is over. */
  readonly previousUntil: number | null
}

export interface TenantWebhooks {
  readonly allowedOrigins: ReadonlyArray<string>
  /** Null before the first was made. */
  readonly secret: SecretState | null
}

/** Nothing may be sent now. `reason` is a sentence for whoever asked to be called. */
export class CallbackRefused extends Data.TaggedError("CallbackRefused")<{ readonly reason: string }> {}

export interface WebhooksOptions {
  readonly rules: OutboundRules
  /** What secrets are encrypted with in the database. */
  readonly key: Redacted.Redacted | undefined
}

export class Webhooks extends Context.Service<Webhooks, {
  readonly read: (tenantId: TenantId) => Effect.Effect<TenantWebhooks, StorageUnavailable>
  /** Replaces the origins. Those that nothing could be sent to are refused as `allowed_origins.N`. */
  readonly allow: (
    tenantId: TenantId,
    origins: ReadonlyArray<string>
  ) => Effect.Effect<TenantWebhooks, InvalidRequest | StorageUnavailable>
  /** `secret` is shown this once. */
  readonly rotate: (
    tenantId: TenantId
  ) => Effect.Effect<{ readonly secret: Redacted.Redacted; readonly state: SecretState }, StorageUnavailable>
  /** Whether a job may name the URL; refused as `callback_url`. */
  readonly permit: (tenantId: TenantId, url: string) => Effect.Effect<void, InvalidRequest | StorageUnavailable>
  /** The headers that a message to the URL has now. */
  readonly sign: (
    tenantId: TenantId,
    url: string,
    message: Message
  ) => Effect.Effect<Record<string, string>, CallbackRefused | StorageUnavailable>
}>()("scaispeak/Webhooks") {
  static readonly layer = ({ key, rules }: WebhooksOptions) =>
    Layer.effect(
      Webhooks,
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const seal = Seal.make(key)

        const find = Effect.fnUntraced(function*(tenantId: TenantId, lock = sql.literal("")) {
          const [row] = yield* sql<Row>`SELECT allowed_origins, secret, secret_made_at, previous_secret, previous_until
            FROM tenant_webhooks WHERE tenant_id = ${tenantId} ${lock}`
          return row
        })
        const write = Effect.fnUntraced(function*(
          tenantId: TenantId,
          changes: (row: Row, now: number) => Partial<Row>
        ) {
          const now = yield* Clock.currentTimeMillis
          const empty = { tenant_id: tenantId, allowed_origins: "[]", updated_at: now }
          yield* sql`INSERT INTO tenant_webhooks ${sql.insert(empty)} ${keepExisting(sql, "tenant_id")}`
          const row = (yield* find(tenantId, forUpdate(sql)))!
          const changed = { ...row, ...changes(row, now) }
          yield* sql`UPDATE tenant_webhooks SET ${sql.update({ ...changed, updated_at: now })}
            WHERE tenant_id = ${tenantId}`
          return stateOf(changed, now)
        }, (self) => orUnavailable(sql.withTransaction(self)))

        const read = Effect.fn("Webhooks.read")(function*(tenantId: TenantId) {
          const row = yield* orUnavailable(find(tenantId))
          return row === undefined ? nobody : stateOf(row, yield* Clock.currentTimeMillis)
        })

        const allow = Effect.fn("Webhooks.allow")(function*(tenantId: TenantId, origins: ReadonlyArray<string>) {
          const details = origins.flatMap((origin, n) => {
            const message = unfit(origin, rules)
            return message === undefined ? [] : [{ field: `allowed_origins.${n}`, message }]
          })
          if (details.length > 0) return yield* new InvalidRequest({ details })
          return yield* write(tenantId, () => ({ allowed_origins: JSON.stringify([...new Set(origins)]) }))
        })

        const rotate = Effect.fn("Webhooks.rotate")(function*(tenantId: TenantId) {
          const secret = makeSecret()
          const { secret: state } = yield* write(tenantId, (row, now) => ({
            secret: seal.close(secret, tenantId),
            secret_made_at: now,
            previous_secret: row.secret,
            previous_until: row.secret === null ? null : now + rotationMillis
          }))
          return { secret: Redacted.make(secret), state: state! }
        })

        const permit = Effect.fn("Webhooks.permit")(function*(tenantId: TenantId, text: string) {
          const decided = decideUrl(text, rules)
          if (Result.isFailure(decided)) return yield* InvalidRequest.field("callback_url", decided.failure)
          const { allowedOrigins, secret } = yield* read(tenantId)
          const { origin } = decided.success.url
          if (!allowedOrigins.includes(origin)) {
            return yield* InvalidRequest.field(
              "callback_url",
              `this tenant lets nothing call ${origin}: an administrator allows it with PUT /admin/webhooks`
            )
          }
          if (secret === null) {
            return yield* InvalidRequest.field(
              "callback_url",
              "there is nothing to sign with: an administrator makes a secret with POST /admin/webhooks/secret"
            )
          }
        })

        const sign = Effect.fn("Webhooks.sign")(function*(tenantId: TenantId, url: string, message: Message) {
          const row = yield* orUnavailable(find(tenantId))
          const now = yield* Clock.currentTimeMillis
          if (row === undefined || !stateOf(row, now).allowedOrigins.includes(new URL(url).origin)) {
            return yield* new CallbackRefused({ reason: "The tenant does not let its origin be called any more." })
          }
          const good = [row.secret, (row.previous_until ?? 0) > now ? row.previous_secret : null]
          const secrets = good.flatMap((written) => written === null ? [] : seal.open(written, tenantId) ?? [])
          if (secrets.length === 0) {
            return yield* new CallbackRefused({ reason: "There is no secret to sign with that can be read." })
          }
          return headersOf(secrets, message)
        })

        return Webhooks.of({ read, allow, rotate, permit, sign })
      })
    )
}

interface Row {
  readonly allowed_origins: string
  readonly secret: string | null
  readonly secret_made_at: number | null
  readonly previous_secret: string | null
  readonly previous_until: number | null
}

const nobody: TenantWebhooks = { allowedOrigins: [], secret: null }

const stateOf = (row: Row, now: number): TenantWebhooks => ({
  allowedOrigins: JSON.parse(row.allowed_origins) as ReadonlyArray<string>,
  secret: row.secret_made_at === null ? null : {
    madeAt: row.secret_made_at,
    previousUntil: row.previous_until !== null && row.previous_until > now ? row.previous_until : null
  }
})

/** Why nothing could be sent to an origin; undefined for one that something could. */
const unfit = (text: string, rules: OutboundRules): string | undefined => {
  const decided = decideUrl(text, rules)
  if (Result.isFailure(decided)) return decided.failure
  const { origin } = decided.success.url
  return origin === text ? undefined : `is not an origin as it is written: ${origin}`
}
