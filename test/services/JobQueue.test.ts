/** Whose turn it is in the queue of jobs, and what becomes of a turn: on both databases. */
import { layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { TenantId } from "../../src/domain/Ids.ts"
import type { JobId } from "../../src/domain/Ids.ts"
import type { Lane } from "../../src/domain/Job.ts"
import { makeId } from "../../src/services/Ids.ts"
import { GaveWay, JobQueue, PutOff } from "../../src/services/JobQueue.ts"
import type { Signals } from "../../src/services/Signals.ts"
import { apart, sqlLayers } from "./sqlLayers.ts"

const leaseMs = 60_000
const queueLayer = JobQueue.layer({ leaseMs })

const offer = Effect.fnUntraced(function*(tenant: string, characters = 1000, lane: Lane = "short") {
  const queue = yield* JobQueue
  const jobId = yield* makeId("job")
  yield* queue.offer(lane, { jobId, tenantId: TenantId.make(tenant), characters })
  return jobId
})
const offers = (tenant: string, count: number, characters?: number) =>
  Effect.forEach(Array.from({ length: count }), () => offer(tenant, characters))

/** The next job, done at once. */
const next = (lane: Lane = "short") =>
  JobQueue.use((queue) => queue.take(lane, (jobId, attempts) => Effect.succeed({ jobId, attempts })))
const taken = (count: number) =>
  Effect.forEach(Array.from({ length: count }), () => Effect.map(next(), ({ jobId }) => jobId))

const empty = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`DELETE FROM job_queue`
  yield* sql`DELETE FROM job_queue_clock`
})

const breath = Effect.promise(() => new Promise((resume) => setTimeout(resume, 20)))

/** What the fiber ends with by then: a database answers in its own time. */
const afterSeconds = Effect.fnUntraced(function*<A, E>(seconds: number, fiber: Fiber.Fiber<A, E>) {
  for (let i = 0; i < seconds && fiber.pollUnsafe() === undefined; i++) {
    yield* breath
    yield* TestClock.adjust("1 second")
  }
  return yield* Fiber.join(fiber)
})

/** In whose hands nothing is, and which nobody would get just now. */
const rows = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  sql<{ id: string; ready: number; holder: string | null }>`
  SELECT id, ready, holder FROM job_queue ORDER BY id`)

for (const db of sqlLayers) {
  const Live = queueLayer.pipe(Layer.provideMerge(db.layer))
  layer(Live)(`JobQueue on ${db.name}`, (it) => {
    const test = (
      name: string,
      body: Effect.Effect<void, unknown, JobQueue | SqlClient.SqlClient | Signals | Scope.Scope>
    ) => it.effect(name, () => Effect.andThen(empty, body))

    test(
      "a tenant with many jobs does not delay another's first, and tenants share",
      Effect.gen(function*() {
        yield* offers("many", 40)
        yield* taken(3)
        const few = yield* offers("few", 4)
        const order = yield* taken(12)
        const places = few.map((jobId) => order.indexOf(jobId))
        assert.ok(places[0]! <= 1, `the first comes in place ${places[0]}`)
        assert.ok(places.every((place, i) => place >= 2 * i && place <= 2 * i + 1), `every other turn: ${places}`)
      })
    )

    test(
      "a short job goes before a long one that came earlier, and one that waits is not passed over for ever",
      Effect.gen(function*() {
        const long = yield* offer("one", 3000)
        const short = yield* offer("two", 100)
        assert.equal((yield* next()).jobId, short)
        // Ever new short ones of a third: the long one's turn comes all the same.
        const order: Array<string> = []
        for (let i = 0; i < 32; i++) {
          yield* offer("three", 100)
          order.push(...yield* taken(1))
        }
        assert.ok(order.includes(long), "three thousand characters of others have gone before")
      })
    )

    test(
      "who was away has not saved up turns",
      Effect.gen(function*() {
        yield* offers("steady", 30)
        yield* taken(20)
        const back = yield* offers("back", 10)
        const order = yield* taken(10)
        const mine = order.filter((jobId) => back.includes(jobId)).length
        assert.ok(mine >= 4 && mine <= 6, `${mine} of 10`)
      })
    )

    test(
      "lanes do not wait for each other",
      Effect.gen(function*() {
        yield* offer("one", 90_000, "long")
        const short = yield* offer("one", 10, "short")
        assert.equal((yield* next("short")).jobId, short)
        assert.equal((yield* rows).length, 1)
        yield* next("long")
        assert.deepEqual(yield* rows, [])
      })
    )

    test(
      "says whether anybody waits: not who is at it, and not who waits for another try",
      Effect.gen(function*() {
        const queue = yield* JobQueue
        const asked = queue.isWaiting("short")
        assert.equal(yield* asked, false)
        yield* offer("one")
        assert.deepEqual([yield* asked, yield* queue.isWaiting("long")], [true, false])
        const broken = queue.take(
          "short",
          () => Effect.andThen(Effect.map(asked, (waits) => assert.equal(waits, false)), Effect.fail("no"))
        )
        yield* Effect.flip(broken)
        assert.equal(yield* asked, false)
        yield* TestClock.adjust("3 seconds")
        assert.equal(yield* asked, true)
        yield* next()
      })
    )

    test(
      "an offer is one fact with what it is written with",
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* Effect.flip(sql.withTransaction(Effect.andThen(offer("one"), Effect.fail("no"))))
        assert.deepEqual(yield* rows, [])
        yield* sql.withTransaction(offer("one"))
        assert.equal((yield* rows).length, 1)
      })
    )

    test(
      "a handler that fails gets its job again after a while, two seconds at first, and every time is counted",
      Effect.gen(function*() {
        const jobId = yield* offer("one")
        const queue = yield* JobQueue
        yield* Effect.flip(queue.take("short", () => Effect.fail("broken")))
        const again = yield* Effect.forkChild(next())
        const other = yield* offer("two")
        // The other one's turn is now.
        assert.equal((yield* Fiber.join(again)).jobId, other)
        const waiting = yield* Effect.forkChild(next())
        assert.deepEqual(yield* afterSeconds(5, waiting), { jobId, attempts: 2 })
      })
    )

    test(
      "a handler that gives way gets its job again behind what others wait with, and that does not count",
      Effect.gen(function*() {
        const jobId = yield* offer("one", 1000)
        const queue = yield* JobQueue
        const others = yield* offers("two", 3, 1000)
        yield* Effect.flip(queue.take("short", () => Effect.fail(new GaveWay({ cost: 1500 }))))
        const order = yield* taken(3)
        assert.ok(order.indexOf(jobId) !== 0 && order.includes(others[0]!))
        yield* Effect.flip(
          queue.take("short", (_, attempts) => (assert.equal(attempts, 1), Effect.fail(new GaveWay({ cost: 1 }))))
        )
      })
    )

    test(
      "a handler that puts its job off gets it again when it said, and says whether that counts",
      Effect.gen(function*() {
        const jobId = yield* offer("one")
        const queue = yield* JobQueue
        const seen: Array<number> = []
        for (const counts of [true, false, true]) {
          const putOff = queue.take(
            "short",
            (_, attempts) => (seen.push(attempts), Effect.fail(new PutOff({ millis: 90_000, counts })))
          )
          yield* Effect.flip(putOff)
          yield* TestClock.adjust("89 seconds")
          assert.equal(yield* queue.isWaiting("short"), false, "not before its time")
          yield* TestClock.adjust("1 second")
        }
        assert.deepEqual(seen, [1, 2, 2])
        assert.deepEqual(yield* next(), { jobId, attempts: 3 })
      })
    )

    test(
      "a handler that is stopped gives its job back at once",
      Effect.gen(function*() {
        const jobId = yield* offer("one")
        const queue = yield* JobQueue
        const began = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          queue.take("short", () => Effect.andThen(Deferred.succeed(began, undefined), Effect.never))
        )
        yield* Deferred.await(began)
        yield* Fiber.interrupt(fiber)
        assert.deepEqual(yield* next(), { jobId, attempts: 1 })
      })
    )

    test(
      "what a dead process held is handed to another, and not before its lease has run out",
      Effect.gen(function*() {
        const jobId = yield* offer("one")
        // A process that takes it, and whose end nobody writes down.
        const dead = yield* Scope.make()
        const context = yield* Layer.buildWithScope(apart(queueLayer), dead)
        const began = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkDetach(
          JobQueue.use((queue) =>
            queue.take("short", () => Effect.andThen(Deferred.succeed(began, undefined), Effect.never))
          ).pipe(Effect.provide(context))
        )
        yield* Deferred.await(began)
        const alive = yield* Effect.forkChild(next())
        for (let i = 0; i < 3; i++) {
          yield* TestClock.adjust(leaseMs)
          yield* breath
        }
        assert.ok(alive.pollUnsafe() === undefined, "a lease that is renewed does not run out")
        // Its renewals end; it holds on to the job.
        yield* Scope.close(dead, Exit.void)
        assert.deepEqual(yield* afterSeconds(70, alive), { jobId, attempts: 2 })
        // Whatever it still says of the job is not heard.
        const [other] = yield* offers("two", 1)
        yield* Fiber.interrupt(fiber)
        assert.equal((yield* next()).jobId, other)
        assert.deepEqual(yield* rows, [])
      })
    )

    test(
      "of many who take at once, each gets another",
      Effect.gen(function*() {
        const all = yield* offers("one", 30, 10)
        const got = yield* Effect.all(Array.from({ length: 30 }, () => next()), { concurrency: "unbounded" })
        assert.deepEqual(got.map(({ jobId }): JobId => jobId).toSorted(), all.toSorted())
        assert.ok(got.every(({ attempts }) => attempts === 1))
      })
    )
  })
}
