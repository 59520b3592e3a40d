/**
 * A store for Effect's `PersistedQueue` whose elements take turns by flow and by size, over `job_queue`.
 *
 * The store that Effect ships hands elements out in the order of their arrival, so a tenant with ten thousand jobs would
 * keep everybody waiting. Here each element has a position: where its flow stands, or how far the queue has come if that is
 * further, plus its cost (self-clocked fair queueing: Golestani, "A self-clocked fair queueing scheme for broadband
 * applications", 1994). So flows share the queue by cost, one that was away cannot save up, a small element goes before a
 * large one, and taking the next is one step in an index.
 *
 * What is promised stays `PersistedQueue`'s: an offer joins the caller's transaction; an element is handed out again until
 * its handler has succeeded; whoever holds one renews its lease, and what a dead process held is handed out again when the
 * lease has run out. Times are those of the processes' clocks, which must agree within a fraction of the lease.
 */
import { Cause, Clock, Duration, Effect, Exit, Latch, Schedule, Schema } from "effect"
import { PersistedQueue } from "effect/persistence"
import { SqlClient } from "effect/sql"
import type { SqlError } from "effect/sql"
import { randomUUID } from "node:crypto"
import { keepExisting } from "../sql/Dialect.ts"

/** What every element must say of itself. */
export const Turn = Schema.Struct({
  /** Who it is for. */
  flow: Schema.String,
  /** In any unit, at least 1. */
  cost: Schema.Natural
})

/** A handler that fails with it lets others go first: it gets the element again, at no attempt's cost, `cost` further on. */
export class GaveWay extends Schema.TaggedError<GaveWay>()("GaveWay", { cost: Schema.Natural }) {}

export interface FairStoreOptions {
  /** An element is handed out again when nothing was heard of its holder for so long, ms. */
  readonly leaseMs: number
  /** An element offered by another process, that nobody told of, is found after so long, ms. */
  readonly pollMs: number
}

/** Renewals that may fail before the lease does. */
const renewalsPerLease = 3
/** Elements whose time has come that one look makes ready. */
const dueMax = 500
const deadlockRetries = 10
const flowsRememberedMax = 10_000
/** An element that nothing can be made of is kept out of the way for somebody to look at. */
const parkedMillis = 10 * 365 * 86_400_000

interface Held {
  readonly queue: string
  readonly id: string
  readonly flow: string
  readonly holder: string
  readonly attempts: number
}

interface Row {
  readonly id: string
  readonly flow: string
  readonly element: string
  readonly position: number
  readonly attempts: number
}

const decodeTurn = Schema.decodeUnknownSync(Turn)

/** `nudge` wakes whoever waits for an element. Runs until the scope closes. */
export const make = Effect.fnUntraced(function*(options: FairStoreOptions) {
  const sql = yield* SqlClient.SqlClient
  const held = new Set<Held>()
  const offered = Latch.makeUnsafe(false)
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
  let lookedAt = -Infinity

  const retryingDeadlocks = <A, R>(effect: Effect.Effect<A, SqlError.SqlError, R>) =>
    Effect.retry(effect, {
      schedule: Schedule.jittered(Schedule.spaced("5 millis")),
      times: deadlockRetries,
      while: (error) => error.reason._tag === "DeadlockError" || error.reason._tag === "LockTimeoutError"
    })
  const failing = (message: string) => <A, R>(effect: Effect.Effect<A, SqlError.SqlError, R>) =>
    Effect.mapError(effect, (cause) => new PersistedQueue.PersistedQueueError({ message, cause }))

  /** Where the flow stands, or how far the queue has come. */
  const standing = Effect.fnUntraced(function*(queue: string, flow: string) {
    const [row] = yield* sql<{ readonly own: number | null; readonly come: number | null }>`
      SELECT (SELECT MAX(position) FROM job_queue WHERE queue = ${queue} AND flow = ${flow}) AS own,
        (SELECT position FROM job_queue_clock WHERE queue = ${queue}) AS come`
    return Math.max(row?.own ?? 0, row?.come ?? 0, lastOffered.get(`${queue} ${flow}`) ?? 0)
  })

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
    yield* sql.afterCommit(offered.open)
  }, failing("Failed to offer"))

  const further = sql.onDialectOrElse({
    mysql: () => sql.literal("ON DUPLICATE KEY UPDATE position = GREATEST(position, VALUES(position))"),
    orElse: () => sql.literal("ON CONFLICT (queue) DO UPDATE SET position = MAX(position, excluded.position)")
  })
  /** Lost with a process that dies just here, the queue has come less far than it has, until the next is taken. */
  const advance = (queue: string, position: number) =>
    retryingDeadlocks(sql`INSERT INTO job_queue_clock ${sql.insert({ queue, position })} ${further}`)

  /** What was to be tried again now, and what dead processes held. */
  const makeReady = Effect.fnUntraced(function*(now: number) {
    if (now - lookedAt < options.pollMs) return
    lookedAt = now
    const due = yield* sql<{ readonly queue: string; readonly id: string }>`
      SELECT queue, id FROM job_queue WHERE ready = 0 AND visible_at <= ${now} LIMIT ${sql.literal(String(dueMax))}`
    for (const { id, queue } of due) {
      yield* retryingDeadlocks(sql`
        UPDATE job_queue SET ready = 1, holder = NULL
        WHERE queue = ${queue} AND id = ${id} AND ready = 0 AND visible_at <= ${now}`)
    }
  })

  const first = (queue: string) => sql`WHERE queue = ${queue} AND ready = 1 ORDER BY position, id LIMIT 1`
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

  const next = Effect.fnUntraced(function*(queue: string) {
    // Closed before looking: whatever is offered after the look opens it again.
    yield* offered.close
    const now = yield* Clock.currentTimeMillis
    yield* makeReady(now)
    const holder = randomUUID()
    const row = yield* claim(queue, holder, now + options.leaseMs)
    if (row === undefined) return undefined
    yield* Effect.ignore(advance(queue, row.position), { log: "Warn" })
    const mine: Held = { queue, id: row.id, flow: row.flow, holder, attempts: row.attempts }
    held.add(mine)
    // There may be more, for others who wait.
    yield* offered.open
    return { mine, element: JSON.parse(row.element) as unknown }
  }, failing("Failed to take"))

  /** Tried for as long as the lease may last; after that somebody else has it. */
  const settling = Schedule.min([Schedule.exponential("200 millis", 1.5), Schedule.spaced("2 seconds")]).pipe(
    Schedule.upTo({ duration: options.leaseMs })
  )
  const settle = (mine: Held, exit: Exit.Exit<unknown, unknown>, retryDelay: Effect.Effect<number>) =>
    Effect.gen(function*() {
      const its = sql`queue = ${mine.queue} AND id = ${mine.id} AND holder = ${mine.holder}`
      const now = yield* Clock.currentTimeMillis
      if (Exit.isSuccess(exit)) return yield* sql`DELETE FROM job_queue WHERE ${its}`
      const failures = exit.cause.reasons.filter(Cause.isFailReason).map(({ error }) => error)
      const gaveWay = failures.find((error) => error instanceof GaveWay)
      if (gaveWay !== undefined) {
        const position = (yield* standing(mine.queue, mine.flow)) + gaveWay.cost
        return yield* sql`
          UPDATE job_queue SET ready = 1, holder = NULL, attempts = attempts - 1, position = ${position} WHERE ${its}`
      }
      if (Cause.hasInterruptsOnly(exit.cause)) {
        return yield* sql`UPDATE job_queue SET ready = 1, holder = NULL, attempts = attempts - 1 WHERE ${its}`
      }
      const dead = failures.some((error) => String((error as { _tag?: string } | null)?._tag).endsWith("/DeadLetter"))
      if (dead) yield* Effect.logError("an element of the queue cannot be read", { queue: mine.queue, id: mine.id })
      const again = now + (dead ? parkedMillis : yield* retryDelay)
      return yield* sql`UPDATE job_queue SET holder = NULL, visible_at = ${again} WHERE ${its}`
    }).pipe(
      retryingDeadlocks,
      Effect.retry(settling),
      Effect.catch((cause) => Effect.logWarning("an element of the queue waits for its lease to end", cause)),
      Effect.ensuring(Effect.sync(() => held.delete(mine))),
      Effect.andThen(Exit.isSuccess(exit) ? Effect.void : offered.open)
    )

  const renew = Effect.gen(function*() {
    if (held.size === 0) return
    const until = (yield* Clock.currentTimeMillis) + options.leaseMs
    yield* retryingDeadlocks(sql`
      UPDATE job_queue SET visible_at = ${until}
      WHERE ${sql.in("holder", Array.from(held, ({ holder }) => holder))}`)
  })
  yield* Effect.ignore(renew, { log: "Warn" }).pipe(
    Effect.delay(options.leaseMs / renewalsPerLease),
    Effect.forever,
    Effect.forkScoped
  )

  const store = PersistedQueue.PersistedQueueStore.of({
    offer: ({ delay, element, id, name }) =>
      offer(name, id, element, delay === undefined ? 0 : Duration.toMillis(delay)),
    take: ({ name, retryDelay }) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          for (;;) {
            const taken = yield* next(name)
            if (taken !== undefined) {
              const { element, mine } = taken
              yield* Effect.addFinalizer((exit) =>
                settle(mine, exit, Effect.map(retryDelay(mine.attempts), Duration.toMillis))
              )
              return { id: mine.id, attempts: mine.attempts, element }
            }
            yield* restore(Effect.race(offered.await, Effect.sleep(options.pollMs)))
          }
        })
      ),
    // Nothing is kept of what was done.
    cleanup: () => Effect.void
  })
  return { store, nudge: offered.open }
})
