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
import * as Turns from "./Turns.ts"

export { Turn } from "./Turns.ts"

/** A handler that fails with it lets others go first: it gets the element again, at no attempt's cost, `cost` further on. */
export class GaveWay extends Schema.TaggedError<GaveWay>()("GaveWay", { cost: Schema.Natural }) {}

/** A handler that fails with it gets the element again after `millis`; `counts`: whether this was an attempt. */
export class PutOff
  extends Schema.TaggedError<PutOff>()("PutOff", { millis: Schema.Natural, counts: Schema.Boolean })
{}

export interface FairStoreOptions {
  /** An element is handed out again when nothing was heard of its holder for so long, ms. */
  readonly leaseMs: number
  /** An element offered by another process, that nobody told of, is found after so long, ms. */
  readonly pollMs: number
}

/** Renewals that may fail before the lease does. */
const renewalsPerLease = 3
/** An element that nothing can be made of is kept out of the way for somebody to look at. */
const parkedMillis = 10 * 365 * 86_400_000

interface Held {
  readonly queue: string
  readonly id: string
  readonly flow: string
  readonly holder: string
  readonly attempts: number
}

/** `nudge` wakes whoever waits for an element. Runs until the scope closes. */
export const make = Effect.fnUntraced(function*(options: FairStoreOptions) {
  const sql = yield* SqlClient.SqlClient
  const held = new Set<Held>()
  const offered = Latch.makeUnsafe(false)

  const turns = yield* Turns.make
  let lookedAt = -Infinity

  const failing = (message: string) => <A, R>(effect: Effect.Effect<A, SqlError.SqlError, R>) =>
    Effect.mapError(effect, (cause) => new PersistedQueue.PersistedQueueError({ message, cause }))

  const offer = (queue: string, id: string, element: unknown, delayMillis: number) =>
    turns.offer(queue, id, element, delayMillis).pipe(
      Effect.andThen(sql.afterCommit(offered.open)),
      failing("Failed to offer")
    )

  const next = Effect.fnUntraced(function*(queue: string) {
    // Closed before looking: whatever is offered after the look opens it again.
    yield* offered.close
    const now = yield* Clock.currentTimeMillis
    if (now - lookedAt >= options.pollMs) {
      lookedAt = now
      yield* turns.makeReady(now)
    }
    const holder = randomUUID()
    const row = yield* turns.claim(queue, holder, now + options.leaseMs)
    if (row === undefined) return undefined
    yield* Effect.ignore(turns.advance(queue, row.position), { log: "Warn" })
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
        const position = (yield* turns.standing(mine.queue, mine.flow)) + gaveWay.cost
        return yield* sql`
          UPDATE job_queue SET ready = 1, holder = NULL, attempts = attempts - 1, position = ${position} WHERE ${its}`
      }
      const putOff = failures.find((error) => error instanceof PutOff)
      if (putOff !== undefined) {
        const attempts = mine.attempts - (putOff.counts ? 0 : 1)
        return yield* sql`
          UPDATE job_queue SET holder = NULL, visible_at = ${now + putOff.millis}, attempts = ${attempts} WHERE ${its}`
      }
      if (Cause.hasInterruptsOnly(exit.cause)) {
        return yield* sql`UPDATE job_queue SET ready = 1, holder = NULL, attempts = attempts - 1 WHERE ${its}`
      }
      const dead = failures.some((error) => String((error as { _tag?: string } | null)?._tag).endsWith("/DeadLetter"))
      if (dead) yield* Effect.logError("an element of the queue cannot be read", { queue: mine.queue, id: mine.id })
      const again = now + (dead ? parkedMillis : yield* retryDelay)
      return yield* sql`UPDATE job_queue SET holder = NULL, visible_at = ${again} WHERE ${its}`
    }).pipe(
      Turns.retryingDeadlocks,
      Effect.retry(settling),
      Effect.catch((cause) => Effect.logWarning("an element of the queue waits for its lease to end", cause)),
      Effect.ensuring(Effect.sync(() => held.delete(mine))),
      Effect.andThen(Exit.isSuccess(exit) ? Effect.void : offered.open)
    )

  const renew = Effect.gen(function*() {
    if (held.size === 0) return
    const until = (yield* Clock.currentTimeMillis) + options.leaseMs
    yield* Turns.retryingDeadlocks(sql`
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
  /** Whether anything could be handed out now. */
  const isWaiting = Effect.fnUntraced(function*(queue: string) {
    const now = yield* Clock.currentTimeMillis
    const [row] = yield* sql<{ readonly waiting: number }>`
      SELECT EXISTS (SELECT 1 FROM job_queue WHERE queue = ${queue} AND ready = 1)
        OR EXISTS (SELECT 1 FROM job_queue WHERE queue = ${queue} AND ready = 0 AND visible_at <= ${now}) AS waiting`
    return Number(row?.waiting) === 1
  })
  return { store, nudge: offered.open, isWaiting }
})
