/**
 * The statements that give elements of `job_queue` their places and hand them out. Where turns come from is told in
 * `FairStore.ts`.
 */
import { Clock, Effect, Schedule, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql"
import { keepExisting } from "../sql/Dialect.ts"

/** What every element must say of itself. */
export const Turn = Schema.Struct({
  /** Who it is for. */
  flow: Schema.String,
  /** In any unit, at least 1. */
  cost: Schema.Natural
})
const decodeTurn = Schema.decodeUnknownSync(Turn)

/** Elements whose time has come that one look makes ready. */
const dueMax = 500
const deadlockRetries = 10
const flowsRememberedMax = 10_000

interface Row {
  readonly id: string
  readonly flow: string
  readonly element: string
  readonly position: number
  readonly attempts: number
}

/** Those that come and those that are taken can deadlock in MariaDB; one of them has to try again. */
export const retryingDeadlocks = <A, R>(effect: Effect.Effect<A, SqlError.SqlError, R>) =>
  Effect.retry(effect, {
    schedule: Schedule.jittered(Schedule.spaced("5 millis")),
    times: deadlockRetries,
    while: (error) => error.reason._tag === "DeadlockError" || error.reason._tag === "LockTimeoutError"
  })

export const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  /**
   * Where each flow stands with what this process has offered: transactions that are open at the same time do not see each
   * other's elements, and would give them one place. Those of several processes may share a place.
   */
  const lastOffered = new Map<string, number>()
  const note = (key: string, position: number) => {
    lastOffered.delete(key)
    lastOffered.set(key, position)
    if (lastOffered.size > flowsRememberedMax) lastOffered.delete(lastOffered.keys().next().value!)
  }

  /** Where the flow stands, or how far the queue has come. */
  const standing = Effect.fnUntraced(function*(queue: string, flow: string) {
    const [row] = yield* sql<{ readonly own: number | null; readonly come: number | null }>`
      SELECT (SELECT MAX(position) FROM job_queue WHERE queue = ${queue} AND flow = ${flow}) AS own,
        (SELECT position FROM job_queue_clock WHERE queue = ${queue}) AS come`
    return Math.max(row?.own ?? 0, row?.come ?? 0, lastOffered.get(`${queue} ${flow}`) ?? 0)
  })

  /** Joins the caller's transaction. One with the same id stays as it is. */
  const offer = Effect.fnUntraced(function*(queue: string, id: string, element: unknown, delayMillis: number) {
    const { cost, flow } = decodeTurn(element)
    const visible_at = (yield* Clock.currentTimeMillis) + delayMillis
    const position = (yield* standing(queue, flow)) + cost
    note(`${queue} ${flow}`, position)
    const row = {
      queue,
      id,
      flow,
      element: JSON.stringify(element),
      position,
      ready: delayMillis > 0 ? 0 : 1,
      visible_at,
      holder: null,
      attempts: 0
    }
    yield* sql`INSERT INTO job_queue ${sql.insert(row)} ${keepExisting(sql, "id")}`
  })

  const further = sql.onDialectOrElse({
    mysql: () => sql.literal("ON DUPLICATE KEY UPDATE position = GREATEST(position, VALUES(position))"),
    orElse: () => sql.literal("ON CONFLICT (queue) DO UPDATE SET position = MAX(position, excluded.position)")
  })
  /** Lost with a process that dies just here, the queue has come less far than it has, until the next is taken. */
  const advance = (queue: string, position: number) =>
    retryingDeadlocks(sql`INSERT INTO job_queue_clock ${sql.insert({ queue, position })} ${further}`)

  /** What was to be tried again now, and what dead processes held. */
  const makeReady = Effect.fnUntraced(function*(now: number) {
    const due = yield* sql<{ readonly queue: string; readonly id: string }>`
      SELECT queue, id FROM job_queue WHERE ready = 0 AND visible_at <= ${now} LIMIT ${sql.literal(String(dueMax))}`
    for (const { id, queue } of due) {
      yield* retryingDeadlocks(sql`
        UPDATE job_queue SET ready = 1, holder = NULL
        WHERE queue = ${queue} AND id = ${id} AND ready = 0 AND visible_at <= ${now}`)
    }
  })

  const first = (queue: string) => sql`WHERE queue = ${queue} AND ready = 1 ORDER BY position, id LIMIT 1`
  /** The first one, for `holder`, until `until` unless renewed; undefined when none is ready. */
  const claim = sql.onDialectOrElse({
    mysql: () => (queue: string, holder: string, until: number) =>
      Effect.gen(function*() {
        const [row] = yield* sql<Row>`
          SELECT id, flow, element, position, attempts FROM job_queue ${first(queue)} FOR UPDATE SKIP LOCKED`
        if (row === undefined) return undefined
        yield* sql`
          UPDATE job_queue SET ready = 0, holder = ${holder}, visible_at = ${until}, attempts = attempts + 1
          WHERE queue = ${queue} AND id = ${row.id}`
        return { ...row, attempts: row.attempts + 1 }
      }).pipe(sql.withTransaction, retryingDeadlocks),
    orElse: () => (queue: string, holder: string, until: number) =>
      Effect.map(
        sql<Row>`
          UPDATE job_queue SET ready = 0, holder = ${holder}, visible_at = ${until}, attempts = attempts + 1
          WHERE queue = ${queue} AND id = (SELECT id FROM job_queue ${first(queue)})
          RETURNING id, flow, element, position, attempts`,
        ([row]) => row
      )
  })

  return { standing, offer, advance, makeReady, claim }
})
