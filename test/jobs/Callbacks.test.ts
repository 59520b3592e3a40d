/** Who is told of a job's end, how often, and when nobody is any more: over real sockets, on both databases. */
import { layer } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Layer, Redacted, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import type { ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RequestId, TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import type { JobId } from "../../src/domain/Ids.ts"
import type { AuthUser } from "../../src/domain/Permission.ts"
import * as Callbacks from "../../src/jobs/Callbacks.ts"
import { makeId } from "../../src/services/Ids.ts"
import { JobCallbacks } from "../../src/services/JobCallbacks.ts"
import { JobExpiry } from "../../src/services/JobExpiry.ts"
import { JobQueue } from "../../src/services/JobQueue.ts"
import { JobRepo } from "../../src/services/JobRepo.ts"
import { JobRuns } from "../../src/services/JobRuns.ts"
import { Licences } from "../../src/services/Licences.ts"
import * as Filesystem from "../../src/services/ObjectStore/Filesystem.ts"
import { SafeHttp } from "../../src/services/SafeHttp.ts"
import { Webhooks } from "../../src/services/Webhooks.ts"
import { type Receiver, startReceiver, verifies } from "../servers/Receiver.ts"
import { sqlLayers } from "../services/sqlLayers.ts"

const started = Effect.acquireRelease(Effect.promise(startReceiver), ({ stop }) => Effect.promise(stop))

class World extends Context.Service<World, {
  readonly receiver: Receiver
  /** Of another origin. */
  readonly other: Receiver
  /** What any name resolves to, one after the other, the last for ever. */
  readonly names: { answers: Array<string>; asked: number }
}>()("test/World") {
  static readonly layer = Layer.effect(
    World,
    Effect.map(
      Effect.all([started, started]),
      ([receiver, other]) => ({ receiver, other, names: { answers: [], asked: 0 } })
    )
  )
}

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-callbacks-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const Outside = Layer.unwrap(Effect.gen(function*() {
  const { names, other, receiver } = yield* World
  const rules = { ports: [443, Number(receiver.host.split(":")[1])], vouched: [receiver.host, other.host] }
  const resolve = async () => {
    names.asked++
    const address = names.answers.length > 1 ? names.answers.shift()! : names.answers[0]!
    return address.split(" ").map((address) => ({ address, family: 4 as const }))
  }
  return Layer.mergeAll(
    SafeHttp.layer({ ...rules, resolve }),
    Webhooks.layer({ rules, key: undefined }),
    Filesystem.layer({ folder: yield* folder })
  )
}))

const servicesOn = (db: (typeof sqlLayers)[number]) =>
  Layer.mergeAll(JobRepo.layer({ keepMs: 7 * 86_400_000 }), JobRuns.layer, JobCallbacks.layer, JobExpiry.layer).pipe(
    Layer.provideMerge(JobQueue.layer({ leaseMs: 600_000_000 })),
    Layer.provideMerge(Licences.layer),
    Layer.provideMerge(Outside),
    Layer.provideMerge(World.layer),
    Layer.provideMerge(db.layer)
  )
type Services = Layer.Success<ReturnType<typeof servicesOn>>

const callerOf = (tenant: string): AuthUser => ({
  userId: UserId.make("ada"),
  tenantId: TenantId.make(tenant),
  role: "tenant_admin",
  permissions: new Set(),
  credential: { kind: "jwt" }
})
const secretText = "What is spoken here is nobody else's business."
const timeoutMs = 300

/** A job of a tenant that names a path at the receiver, or a whole address. */
const take = Effect.fnUntraced(function*(where: string | undefined, tenant = "acme") {
  const { receiver } = yield* World
  const jobs = yield* JobRepo
  const { jobId } = yield* jobs.enqueue({
    requestId: RequestId.make("req_1"),
    caller: callerOf(tenant),
    speak: {
      text: secretText,
      voiceId: VoiceId.make("vox_flite_awb"),
      responseFormat: "wav",
      backendPreference: "any",
      forceAsync: true,
      timestamps: "none",
      ...(where === undefined ? {} : { callbackUrl: where.startsWith("/") ? receiver.url + where : where })
    },
    synthesisId: yield* makeId("syn"),
    licenceId: null
  }, () => Effect.void)
  return jobId
})

const complete = Effect.fnUntraced(function*(jobId: JobId) {
  const runs = yield* JobRuns
  const run = (yield* runs.begin(jobId, 1))!
  yield* runs.end(run, {
    status: "completed",
    audioUri: `scaispeak/jobs/${jobId}/audio.wav`,
    audioMs: 900,
    saved: null
  })
})
const finished = (where: string, tenant?: string) => Effect.tap(take(where, tenant), complete)

/** A tenant that lets the receiver be called, with its secret. */
const allowed = Effect.fnUntraced(function*(tenant = "acme", ...more: ReadonlyArray<string>) {
  const { receiver } = yield* World
  const webhooks = yield* Webhooks
  yield* webhooks.allow(TenantId.make(tenant), [receiver.url, ...more])
  return yield* webhooks.rotate(TenantId.make(tenant))
})

/** A process that tells, until it is stopped. It is away while time passes: it would look at its queue at every second of it. */
const process = Effect.fnUntraced(function*(concurrency = 2, callMillis = timeoutMs) {
  const context = yield* Effect.context<Services>()
  const options = { mount: "/m", callbacks: { concurrency, timeoutMs: callMillis } }
  const start = Effect.gen(function*() {
    const scope = yield* Scope.make()
    yield* Layer.buildWithScope(Layer.fresh(Callbacks.layer(options)), scope).pipe(Effect.provide(context))
    return scope
  })
  let scope = yield* start
  const stop = Effect.suspend(() => Scope.close(scope, Exit.void))
  const pass = Effect.fnUntraced(function*(seconds: number) {
    yield* stop
    yield* TestClock.adjust(`${seconds} seconds`)
    scope = yield* start
    for (let i = 0; i < 10; i++) yield* breath
  })
  return { stop, pass }
})

const breath = Effect.promise(() => new Promise((resume) => setTimeout(resume, 5)))

/** Lets seconds pass, few beside the waits, until it holds. */
const until = Effect.fnUntraced(function*<A, E, R>(look: Effect.Effect<A, E, R>, holds: (a: A) => boolean) {
  for (let tries = 0; tries < 1500; tries++) {
    const seen = yield* look
    if (holds(seen)) return seen
    yield* breath
    // A queue is looked at every second; nothing else depends on this clock but the waits between attempts.
    if (tries % 20 === 0) yield* TestClock.adjust("1 second")
  }
  return assert.fail("it did not come to that")
})

const callbackOf = (jobId: JobId, tenant = "acme") =>
  Effect.map(JobRepo.use((jobs) => jobs.find(callerOf(tenant), jobId)), ({ callback }) => callback)
const inHand = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.map(
    sql<{ n: number }>`SELECT COUNT(*) AS n FROM job_queue WHERE queue = 'callbacks' AND holder IS NOT NULL`,
    ([row]) => Number(row!.n)
  ))
/** So many attempts are over, and nothing is in anybody's hands. */
const attempted = (jobId: JobId, attempts: number) =>
  Effect.andThen(
    until(callbackOf(jobId), (callback) => callback!.attempts === attempts),
    until(inHand, (held) => held === 0)
  ).pipe(Effect.andThen(callbackOf(jobId)))
const waiting = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.map(
    sql<{ id: JobId }>`SELECT id FROM job_queue WHERE queue = 'callbacks'`,
    (rows) => rows.map(({ id }) => id)
  ))
const messagesTo = (path: string) =>
  Effect.map(World, ({ receiver }) => receiver.seen.filter((message) => message.path === path))
const answer = (path: string, ...answers: Receiver["answers"] extends Map<string, infer A> ? A : never) =>
  Effect.map(World, ({ receiver }) => receiver.answers.set(path, answers))

for (const db of sqlLayers) {
  layer(servicesOn(db))(`callbacks on ${db.name}`, (it) => {
    const test = (name: string, body: Effect.Effect<unknown, unknown, Services | Scope.Scope>) =>
      it.effect(name, () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* sql`DELETE FROM job_queue`
          yield* body
        }))

    test(
      "a job that has ended is told once, signed, as its owner sees it, without a word of its text",
      Effect.gen(function*() {
        const { secret } = yield* allowed()
        const { stop } = yield* process()
        const jobId = yield* take("/once")
        assert.deepEqual(yield* waiting, [], "nothing to tell before the end")
        yield* complete(jobId)
        const callback = yield* attempted(jobId, 1)
        const { receiver } = yield* World
        assert.deepEqual(callback, { url: `${receiver.url}/once`, status: "delivered", attempts: 1, lastError: null })
        assert.deepEqual(yield* waiting, [])
        const [message, ...more] = yield* messagesTo("/once")
        assert.deepEqual(more, [])
        const { body, headers, id, timestamp } = message!
        assert.equal(id, jobId.replace("job_", "msg_"))
        assert.equal(headers["content-type"], "application/json")
        assert.ok(verifies(Redacted.value(secret), message!))
        assert.equal(verifies("whsec_AAAA", message!), false)
        const { data, timestamp: at, type } = JSON.parse(body)
        assert.equal(type, "job.completed")
        assert.equal(at, data.finished_at)
        assert.ok(Math.abs(timestamp * 1000 - Date.parse(at)) < 120_000)
        assert.deepEqual([data.job_id, data.status, data.audio_duration_ms, data.audio_url], [
          jobId,
          "completed",
          900,
          `/m/speak/jobs/${jobId}/audio`
        ])
        assert.ok(!("callback" in data) && !body.includes("nobody else"))
        yield* stop
      })
    )

    test(
      "every end is told, of whatever kind, in the transaction that it is written in; a job without callback_url is not",
      Effect.gen(function*() {
        yield* allowed()
        const jobs = yield* JobRepo
        const runs = yield* JobRuns
        const expiry = yield* JobExpiry
        const failed = yield* take("/ends")
        const run = (yield* runs.begin(failed, 1))!
        const failing = runs.end(run, { status: "failed", reason: "No.", code: "INTERNAL_ERROR" })
        const sql = yield* SqlClient.SqlClient
        yield* Effect.flip(sql.withTransaction(Effect.andThen(failing, Effect.fail("undone"))))
        assert.deepEqual(yield* waiting, [])
        yield* failing
        const canceled = yield* take("/ends")
        for (let i = 0; i < 2; i++) yield* jobs.cancel(callerOf("acme"), canceled)
        const late = yield* take("/ends")
        const { expiresAt } = yield* jobs.find(callerOf("acme"), late)
        yield* sql`UPDATE synth_jobs SET purge_at = 5 WHERE job_id = ${late}`
        assert.equal(yield* expiry.sweep(6), 1)
        assert.ok(expiresAt > 6)
        const nobody = yield* take(undefined)
        yield* complete(nobody)
        assert.equal(yield* callbackOf(nobody), null)
        assert.deepEqual((yield* waiting).toSorted(), [failed, canceled, late].toSorted())
        const { stop } = yield* process()
        for (const jobId of [failed, canceled, late]) yield* attempted(jobId, 1)
        const told = (yield* messagesTo("/ends")).map(({ body, id }) => [id.slice(4), JSON.parse(body).type])
        assert.deepEqual(
          told.toSorted(),
          [[failed, "job.failed"], [canceled, "job.canceled"], [late, "job.failed"]]
            .map(([id, type]) => [id!.slice(4), type]).toSorted()
        )
        // What has expired keeps no address longer than it needs it.
        assert.deepEqual(yield* callbackOf(late), { url: null, status: "delivered", attempts: 1, lastError: null })
        yield* stop
      })
    )

    test(
      "a receiver that fails, is silent or sends elsewhere is tried again, later each time, under the same id",
      Effect.gen(function*() {
        const { secret } = yield* allowed()
        yield* answer("/flaky", 500, "nothing", 302)
        const { pass, stop } = yield* process()
        const jobId = yield* finished("/flaky")
        const errors: Array<string | null> = []
        for (const [n, wait] of [5, 300, 1800].entries()) {
          const callback = (yield* attempted(jobId, n + 1))!
          assert.equal(callback.status, "pending")
          errors.push(callback.lastError)
          yield* pass(wait - 4)
          assert.equal((yield* messagesTo("/flaky")).length, n + 1, "not before its time")
          yield* pass(4)
        }
        const callback = (yield* attempted(jobId, 4))!
        assert.deepEqual([callback.status, callback.lastError], ["delivered", null])
        assert.deepEqual(errors, ["It answered 500.", "The address takes too long to answer.", "It answered 302."])
        const messages = yield* messagesTo("/flaky")
        assert.equal(new Set(messages.map(({ id }) => id)).size, 1)
        assert.equal(new Set(messages.map(({ body }) => body)).size, 1)
        assert.ok(messages.every((message) => verifies(Redacted.value(secret), message)))
        assert.ok(messages.at(-1)!.timestamp - messages[0]!.timestamp >= 2105, "each is signed with its own time")
        assert.deepEqual(yield* messagesTo("/elsewhere"), [], "no redirect is followed")
        yield* stop
      })
    )

    test(
      "410 ends it at once; eight attempts over a day end it otherwise",
      Effect.gen(function*() {
        yield* allowed()
        yield* answer("/gone", 410)
        yield* answer("/broken", ...Array<number>(20).fill(503))
        const { pass, stop } = yield* process()
        const gone = yield* finished("/gone")
        const last = (yield* attempted(gone, 1))!
        assert.deepEqual([last.status, last.lastError], ["failed", "It answered 410."])
        const broken = yield* finished("/broken")
        for (let n = 1; n < 8; n++) {
          assert.equal((yield* attempted(broken, n))!.status, "pending")
          yield* pass(8 * 3600)
        }
        const end = (yield* attempted(broken, 8))!
        assert.deepEqual([end.status, end.lastError], ["failed", "It answered 503."])
        assert.deepEqual(yield* waiting, [])
        yield* pass(24 * 3600)
        assert.equal((yield* messagesTo("/broken")).length, 8)
        yield* stop
      })
    )

    test(
      "a process that stops in an attempt, or between two, is followed by another, under the same id",
      Effect.gen(function*() {
        yield* allowed()
        yield* answer("/restart", "nothing", 500)
        const first = yield* process()
        const jobId = yield* finished("/restart")
        yield* until(messagesTo("/restart"), ({ length }) => length === 1)
        yield* first.stop
        assert.equal((yield* callbackOf(jobId))!.attempts, 0, "an attempt that was cut off counts for nothing")
        const second = yield* process()
        yield* attempted(jobId, 1)
        yield* second.stop
        const third = yield* process()
        yield* TestClock.adjust("5 seconds")
        assert.equal((yield* attempted(jobId, 2))!.status, "delivered")
        const ids = (yield* messagesTo("/restart")).map(({ id }) => id)
        assert.deepEqual([ids.length, new Set(ids).size], [3, 1])
        yield* third.stop
      })
    )

    test(
      "a name that leads inside is refused at each attempt, whatever it led to before",
      Effect.gen(function*() {
        const { names, receiver } = yield* World
        const origin = `https://hooks.example:${receiver.host.split(":")[1]}`
        yield* allowed("acme", origin)
        Object.assign(names, { answers: ["127.0.0.1", "1.1.1.1 127.0.0.1", "169.254.169.254"], asked: 0 })
        const { pass, stop } = yield* process()
        const before = receiver.seen.length
        const jobId = yield* finished(`${origin}/rebinding`)
        for (const [n, wait] of [5, 300, 1800].entries()) {
          const callback = (yield* attempted(jobId, n + 1))!
          assert.equal(callback.lastError, "The address does not lead to a public host.")
          assert.equal(names.asked, n + 1)
          yield* pass(wait)
        }
        assert.equal(receiver.seen.length, before)
        yield* stop
      })
    )

    test(
      "an origin that is withdrawn is not called any more, and is again once it is allowed again",
      Effect.gen(function*() {
        const { receiver } = yield* World
        const webhooks = yield* Webhooks
        yield* allowed()
        const jobId = yield* finished("/withdrawn")
        yield* webhooks.allow(TenantId.make("acme"), [])
        const { pass, stop } = yield* process()
        const callback = (yield* attempted(jobId, 1))!
        assert.equal(callback.lastError, "The tenant does not let its origin be called any more.")
        assert.deepEqual(yield* messagesTo("/withdrawn"), [])
        yield* webhooks.allow(TenantId.make("acme"), [receiver.url])
        yield* pass(5)
        assert.equal((yield* attempted(jobId, 2))!.status, "delivered")
        yield* stop
      })
    )

    test(
      "an erasure takes what is still to be told along, and the address",
      Effect.gen(function*() {
        yield* allowed()
        const sql = yield* SqlClient.SqlClient
        const expiry = yield* JobExpiry
        yield* answer("/erased", 500)
        const { pass, stop } = yield* process()
        const tried = yield* finished("/erased")
        yield* attempted(tried, 1)
        const queued = yield* take("/erased")
        // Expired, so that nothing but the address is left of it.
        yield* sql`UPDATE synth_jobs SET purge_at = 5 WHERE job_id = ${tried}`
        yield* expiry.sweep(6)
        assert.notEqual((yield* callbackOf(tried))!.url, null, "still to be told")
        yield* expiry.erase({ tenantId: TenantId.make("acme"), userId: UserId.make("ada") })
        assert.deepEqual([yield* callbackOf(tried), yield* callbackOf(queued)], [null, null])
        assert.deepEqual(yield* waiting, [])
        yield* pass(3600)
        assert.equal((yield* messagesTo("/erased")).length, 1)
        const [left] = yield* sql<{ n: number }>`
          SELECT COUNT(*) AS n FROM synth_jobs WHERE callback_url IS NOT NULL OR request LIKE '%callback%'`
        assert.equal(Number(left!.n), 0)
        yield* stop
      })
    )

    test(
      "a receiver that asks for time with 429 or 503 has it: never less than planned, never more than the longest wait",
      Effect.gen(function*() {
        yield* allowed()
        const { pass, stop } = yield* process()
        const table = [
          ["/less", 429, "1", 5],
          ["/more", 429, "120", 120],
          ["/date", 503, "in ten minutes", 600],
          ["/days", 503, "864000", 8 * 3600],
          ["/other", 500, "120", 5]
        ] as const
        for (const [path, status, asked, seconds] of table) {
          const date = new Date((yield* Clock.currentTimeMillis) + seconds * 1000).toUTCString()
          const after = asked === "in ten minutes" ? date : asked
          yield* answer(path, (response) => void response.writeHead(status, { "retry-after": after }).end())
          const jobId = yield* finished(path)
          yield* attempted(jobId, 1)
          const since = yield* Clock.currentTimeMillis
          // What `attempted` let pass meanwhile, and a date's whole seconds.
          yield* pass(seconds - 4)
          assert.equal((yield* messagesTo(path)).length, 1, `${path}: not before its time`)
          yield* pass(4)
          assert.equal((yield* attempted(jobId, 2))!.status, "delivered")
          const waited = ((yield* Clock.currentTimeMillis) - since) / 1000
          assert.ok(waited >= seconds - 3 && waited <= seconds + 20, `${path}: ${waited} s`)
        }
        yield* stop
      })
    )

    test(
      "a receiver that hangs holds its share of the deliveries, and none of another's, of the same tenant too",
      Effect.gen(function*() {
        const { other } = yield* World
        yield* allowed("acme", other.url)
        const hanging: Array<ServerResponse> = []
        yield* answer(
          "/hangs",
          ...Array<(response: ServerResponse) => void>(6).fill((response) => void hanging.push(response))
        )
        const slow = yield* Effect.forEach(Array.from({ length: 6 }), () => finished("/hangs"))
        const quick = yield* Effect.forEach(Array.from({ length: 10 }), () => finished(`${other.url}/quick`))
        const { stop } = yield* process(8, 600_000)
        for (const jobId of quick) {
          const { attempts, status } = (yield* until(callbackOf(jobId), (callback) => callback!.status !== "pending"))!
          assert.deepEqual([status, attempts], ["delivered", 1])
        }
        for (let answered = 0; answered < slow.length; answered += 2) {
          yield* until(messagesTo("/hangs"), ({ length }) => length === answered + 2)
          for (let i = 0; i < 10; i++) yield* breath
          assert.equal(hanging.length, 2, "two at once")
          for (const response of hanging.splice(0)) response.writeHead(200).end()
        }
        for (const jobId of slow) {
          const { attempts, status } = (yield* until(callbackOf(jobId), (callback) => callback!.status !== "pending"))!
          assert.deepEqual([status, attempts], ["delivered", 1], "to be put off is no attempt")
        }
        yield* stop
      })
    )

    test(
      "a tenant whose receiver is silent does not keep another's waiting",
      Effect.gen(function*() {
        const { other } = yield* World
        yield* allowed()
        yield* allowed("globex", other.url)
        yield* answer("/silent", ...Array<"nothing">(20).fill("nothing"))
        for (let i = 0; i < 6; i++) yield* finished("/silent")
        const quick = yield* finished(`${other.url}/quick`, "globex")
        const { stop } = yield* process()
        yield* until(callbackOf(quick, "globex"), (callback) => callback!.status === "delivered")
        const asked = (yield* messagesTo("/silent")).length
        assert.ok(asked <= 4, `${asked} of the six went before`)
        yield* stop
      })
    )
  })
}
