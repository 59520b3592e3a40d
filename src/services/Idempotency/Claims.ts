/**
 * The rows of `idempotency_keys`: who may answer a key.
 *
 * Every change names the row by its key and by the claim's own object key, so it never touches a claim of somebody else.
 */
import { Clock, Effect, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { SqlError, Statement } from "effect/sql"
import { randomUUID } from "node:crypto"
import type { VoiceId } from "../../domain/Ids.ts"
import { orUnavailable } from "../Database.ts"
import type { IdempotentRequest, Replies, Reply } from "../Idempotency.ts"
import { affected } from "../sql/Dialect.ts"

/** How long a claim holds without being renewed. */
export const leaseMillis = 60_000
/** api.md §1: the same key and body get the first reply for 24 h. */
const keptMillis = 24 * 3_600_000
/** Rows that a sweep takes at a time. */
const sweepRows = 200
/** Claims of one key that come and go together can deadlock in MariaDB; one of them has to try again. */
const deadlockRetries = 5

/** The key as its row has it. */
export interface Name extends Pick<IdempotentRequest, "tenantId" | "userId" | "route" | "key"> {}

/** Somebody's right to answer, known by where the reply's body will lie. */
export interface Claim {
  readonly name: Name
  readonly objectKey: string
}

/** Two letters of folders, so that a folder store does not hold a day's replies in one. */
export const newClaim = (name: Name): Claim => {
  const id = randomUUID()
  return { name, objectKey: `scaispeak/idempotency/${id.slice(0, 2)}/${id}` }
}

/** A key that is claimed or answered. */
export interface Row {
  readonly body_sha256: string
  readonly state: "running" | "done"
  readonly locked_until: number | null
  readonly status: number | null
  readonly headers: string | null
  readonly object_key: string
  readonly expires_at: number
}

/** Whether the reply is a day old, or whoever claimed the key has not been heard of for a minute. */
export const hasRunOut = (row: Row, nowMillis: number): boolean =>
  (row.state === "running" ? row.locked_until ?? 0 : row.expires_at) <= nowMillis

const Headers = Schema.fromJsonString(Schema.Record(Schema.String, Schema.String))
const encodeHeaders = Schema.encodeSync(Headers)
const decodeHeaders = Schema.decodeUnknownSync(Headers)

/** What an answered row says, without its body. */
export const headOf = (row: Row) => ({ status: row.status ?? 200, headers: decodeHeaders(row.headers) })

const retryingDeadlocks = <A, R>(effect: Effect.Effect<A, SqlError.SqlError, R>) =>
  Effect.retry(effect, { times: deadlockRetries, while: (error) => error.reason._tag === "DeadlockError" })

const running = ({ objectKey }: Claim, bodySha256: string, now: number) => ({
  body_sha256: bodySha256,
  state: "running",
  locked_until: now + leaseMillis,
  status: null,
  headers: null,
  object_key: objectKey,
  voice_id: null,
  created_at: now,
  expires_at: now + keptMillis
})

export const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient

  const is = ({ name: { key, route, tenantId, userId }, objectKey }: Claim) =>
    sql`tenant_id = ${tenantId} AND user_id = ${userId} AND route = ${route} AND idem_key = ${key}
      AND object_key = ${objectKey}`

  /** Makes an `INSERT` of a key that exists return its row, unchanged. */
  const orExisting = sql.onDialectOrElse({
    mysql: () => sql.literal("ON DUPLICATE KEY UPDATE object_key = object_key"),
    orElse: () => sql.literal("ON CONFLICT (tenant_id, user_id, route, idem_key) DO UPDATE SET object_key = object_key")
  })

  /** Claims the key if nobody has, in one round trip. The row returned is the claim's own if it has its object key. */
  const open = Effect.fnUntraced(function*(claim: Claim, bodySha256: string) {
    const { key, route, tenantId, userId } = claim.name
    const columns = running(claim, bodySha256, yield* Clock.currentTimeMillis)
    const [row] = yield* retryingDeadlocks(sql<Row>`
      INSERT INTO idempotency_keys
      ${sql.insert({ tenant_id: tenantId, user_id: userId, route, idem_key: key, ...columns })} ${orExisting}
      RETURNING body_sha256, state, locked_until, status, headers, object_key, expires_at`)
    return row ?? (yield* Effect.die(new Error("the INSERT returned no row")))
  }, orUnavailable)

  /** Claims a key whose row has run out; false when somebody else was faster. */
  const takeOver = Effect.fnUntraced(function*(claim: Claim, bodySha256: string, row: Row) {
    const columns = running(claim, bodySha256, yield* Clock.currentTimeMillis)
    const former = { ...claim, objectKey: row.object_key }
    const found = yield* affected(sql`
      UPDATE idempotency_keys SET ${sql.update(columns)}
      WHERE ${is(former)} AND state = ${row.state} AND COALESCE(locked_until, 0) = ${row.locked_until ?? 0}`)
    return found === 1
  }, orUnavailable)

  const renew = Effect.fnUntraced(function*(claim: Claim) {
    const until = (yield* Clock.currentTimeMillis) + leaseMillis
    yield* sql`UPDATE idempotency_keys SET locked_until = ${until} WHERE ${is(claim)} AND state = 'running'`
  }, orUnavailable)

  /** Turns the claim into a reply; false when the claim was lost. */
  const close = Effect.fnUntraced(function*(
    claim: Claim,
    { headers, status }: Omit<Reply, "body">,
    voiceId: VoiceId | null
  ) {
    const expires = (yield* Clock.currentTimeMillis) + keptMillis
    const columns = {
      state: "done",
      locked_until: null,
      status,
      headers: encodeHeaders(headers),
      expires_at: expires,
      voice_id: voiceId
    }
    const found = yield* affected(sql`
      UPDATE idempotency_keys SET ${sql.update(columns)} WHERE ${is(claim)} AND state = 'running'`)
    return found === 1
  }, orUnavailable)

  /** Gives the key back, unless the claim has become a reply; says whether no row needs the claim's body now. */
  const withdraw = Effect.fnUntraced(function*(claim: Claim) {
    yield* retryingDeadlocks(sql`DELETE FROM idempotency_keys WHERE ${is(claim)} AND state = 'running'`)
    const rows = yield* sql`SELECT 1 FROM idempotency_keys WHERE ${is(claim)}`
    return rows.length === 0
  }, orUnavailable)

  const remove = (claim: Claim) =>
    orUnavailable(retryingDeadlocks(sql`DELETE FROM idempotency_keys WHERE ${is(claim)}`))

  const someWhere = Effect.fnUntraced(function*(which: Statement.Fragment) {
    const rows = yield* sql<Name & { readonly objectKey: string }>`
      SELECT tenant_id AS ${sql("tenantId")}, user_id AS ${sql("userId")}, route, idem_key AS ${sql("key")},
        object_key AS ${sql("objectKey")}
      FROM idempotency_keys WHERE ${which} LIMIT ${sql.literal(String(sweepRows))}`
    return rows.map(({ objectKey, ...name }): Claim => ({ name, objectKey }))
  }, orUnavailable)

  /** Some of the rows that have run out for good: nobody may get their reply, and nobody is at work on it. */
  const expired = (nowMillis: number) =>
    someWhere(sql`expires_at <= ${nowMillis} AND COALESCE(locked_until, 0) <= ${nowMillis}`)

  const answered = (replies: Replies) =>
    "voiceId" in replies
      ? sql`voice_id = ${replies.voiceId}`
      : sql`tenant_id = ${replies.tenantId} AND user_id = ${replies.userId}`

  /** Some of these replies, and of the claims that a user has on keys. */
  const some = (replies: Replies) => someWhere(answered(replies))

  const count = (replies: Replies) =>
    orUnavailable(Effect.map(
      sql<{ readonly n: number }>`SELECT COUNT(*) AS n FROM idempotency_keys WHERE ${answered(replies)}`,
      ([row]) => Number(row!.n)
    ))

  return { open, takeOver, renew, close, withdraw, remove, expired, some, count }
})
