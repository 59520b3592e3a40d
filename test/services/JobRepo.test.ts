/** What of a job's life is one fact, and that no statement of it reads more than it must; on both databases. */
import { layer } from "@effect/vitest"
import { Array, Effect, identity, Layer } from "effect"
import { SqlClient, Statement } from "effect/sql"
import assert from "node:assert/strict"
import { LicenceId, RequestId, TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import { granted } from "../../src/domain/Permission.ts"
import type { AuthUser } from "../../src/domain/Permission.ts"
import type { SpeakRequest } from "../../src/domain/SpeakRequest.ts"
import { dayOf, makeId, millisOf } from "../../src/services/Ids.ts"
import { JobQueue } from "../../src/services/JobQueue.ts"
import { JobRepo } from "../../src/services/JobRepo.ts"
import { JobRuns } from "../../src/services/JobRuns.ts"
import { Licences } from "../../src/services/Licences.ts"
import { dropPartitions, ensurePartitions } from "../../src/services/sql/Partitions.ts"
import { sqlLayers } from "./sqlLayers.ts"

const caller: AuthUser = {
  userId: UserId.make("ada"),
  tenantId: TenantId.make("acme"),
  role: "tenant_admin",
  permissions: new Set(granted.tenant_admin),
  credential: { kind: "jwt" }
}
const speak: SpeakRequest = {
  text: "Hello there.",
  voiceId: VoiceId.make("vox_flite_awb"),
  responseFormat: "wav",
  backendPreference: "any",
  forceAsync: true,
  timestamps: "none"
}

const enqueue = <E = never>(
  alongside: () => Effect.Effect<void, E> = () => Effect.void,
  licenceId: LicenceId | null = null
) =>
  Effect.gen(function*() {
    const jobs = yield* JobRepo
    const synthesisId = yield* makeId("syn")
    return yield* jobs.enqueue(
      { requestId: RequestId.make("req_1"), caller, speak, synthesisId, licenceId },
      alongside
    )
  })

const counts = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const [row] = yield* sql<{ jobs: number; queue: number }>`
    SELECT (SELECT COUNT(*) FROM synth_jobs) AS jobs, (SELECT COUNT(*) FROM job_queue) AS queue`
  return { ...row }
})

/** A run from beginning to end, and one that is canceled: every statement that a job meets. */
const everything = Effect.gen(function*() {
  const jobs = yield* JobRepo
  const queue = yield* JobQueue
  const runs = yield* JobRuns
  yield* enqueue()
  yield* queue.take("short", (jobId, attempts) =>
    Effect.gen(function*() {
      const run = (yield* runs.begin(jobId, attempts))!
      yield* runs.cut(run, [{ end: 12 }])
      yield* runs.speaks(run, { backend: "A", engine: "e", model: "m", sampleRate: 16000 }, {
        nodeId: "n",
        reasons: [],
        ignoredParams: []
      })
      yield* runs.holds(run)
      yield* runs.progress(run, { segmentsDone: 1, charactersDone: 12, audioMs: 900 })
      yield* runs.end(run, { status: "completed", audioUri: "scaispeak/jobs/x/audio.wav", audioMs: 900, saved: null })
      yield* runs.state(jobId)
    }))
  const { jobId } = yield* enqueue()
  yield* jobs.find(caller, jobId)
  yield* jobs.list(caller, { limit: 50 })
  yield* jobs.cancel(caller, jobId)
})

/** The statements of an effect that name one of these tables, as text and parameters. */
const statementsOf = Effect.fnUntraced(function*<A, E, R>(self: Effect.Effect<A, E, R>) {
  const seen = new Map<string, ReadonlyArray<unknown>>()
  yield* Effect.provideService(self, Statement.CurrentTransformer, (statement) =>
    Effect.sync(() => {
      const [text, parameters] = statement.compile()
      if (/synth_jobs|job_queue/u.test(text) && /^\s*(SELECT|UPDATE|DELETE)/u.test(text)) seen.set(text, parameters)
      return statement
    }))
  return [...seen]
})

for (const db of sqlLayers) {
  const Live = Layer.mergeAll(JobRepo.layer({ keepMs: 3_600_000 }), JobRuns.layer).pipe(
    Layer.provideMerge(JobQueue.layer({ leaseMs: 60_000 })),
    Layer.provideMerge(Licences.layer),
    Layer.provideMerge(db.layer)
  )
  layer(Live, { excludeTestServices: true })(`JobRepo on ${db.name}`, (it) => {
    it.effect("a job, its place in the queue and what is written alongside are one fact", () =>
      Effect.gen(function*() {
        const before = yield* counts
        assert.equal(
          yield* Effect.flip(enqueue(() => Effect.fail("the reply could not be kept"))),
          "the reply could not be kept"
        )
        assert.deepEqual(yield* counts, before)
        yield* enqueue()
        assert.deepEqual(yield* counts, { jobs: before.jobs! + 1, queue: before.queue! + 1 })
      }))

    it.effect("a run whose job was taken over or has ended changes nothing any more", () =>
      Effect.gen(function*() {
        const runs = yield* JobRuns
        const jobs = yield* JobRepo
        const { jobId } = yield* enqueue()
        const first = (yield* runs.begin(jobId, 1))!
        const second = (yield* runs.begin(jobId, 2))!
        const late = { segmentsDone: 9, charactersDone: 9, audioMs: 9 }
        const end = { status: "completed", audioUri: "late", audioMs: 1, saved: null } as const
        for (
          const change of [
            runs.progress(first, late),
            runs.holds(first),
            runs.putBack(first, null),
            runs.end(first, end)
          ]
        ) {
          assert.equal((yield* Effect.flip(change))._tag, "RunLost")
        }
        yield* runs.end(second, { ...end, audioUri: "second" })
        assert.equal((yield* Effect.flip(runs.end(second, end)))._tag, "RunLost")
        assert.equal(yield* runs.begin(jobId, 3), undefined)
        const job = yield* jobs.find(caller, jobId)
        assert.deepEqual([job.status, job.audioUri, job.segmentsDone], ["completed", "second", 0])
      }))

    it.effect("what was reserved of a licence and is not spoken is given back with the end, once", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const jobs = yield* JobRepo
        const runs = yield* JobRuns
        const licenceId = LicenceId.make("lic_one")
        yield* sql`INSERT INTO voice_licences ${
          sql.insert({
            license_id: licenceId,
            voice_id: speak.voiceId,
            licensor: "Them",
            license_type: "usage_bound",
            expires_at: null,
            character_cap: 1000,
            characters_used: 100,
            document_key: null,
            created_at: 1,
            updated_at: 1
          })
        }`
        const used = Effect.map(
          sql<{ characters_used: number }>`SELECT characters_used FROM voice_licences`,
          ([row]) => row!.characters_used
        )
        const unheard = yield* enqueue(undefined, licenceId)
        for (let i = 0; i < 2; i++) yield* jobs.cancel(caller, unheard.jobId)
        assert.equal(yield* used, 88)
        const half = yield* enqueue(undefined, licenceId)
        const run = (yield* runs.begin(half.jobId, 1))!
        yield* runs.progress(run, { segmentsDone: 1, charactersDone: 7, audioMs: 1 })
        yield* jobs.cancel(caller, half.jobId)
        assert.equal(yield* used, 83)
        const whole = (yield* runs.begin((yield* enqueue(undefined, licenceId)).jobId, 1))!
        yield* runs.end(whole, { status: "completed", audioUri: "a", audioMs: 1, saved: null })
        assert.equal(yield* used, 83)
      }))

    it.effect("every statement touches one partition or goes by an index", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const day = dayOf(millisOf(yield* makeId("job"))!)
        // Enough for a planner to mind.
        for (let i = 0; i < 4; i++) {
          const some = yield* Effect.forEach(Array.makeBy(250, identity), () => makeId("job"))
          const times = { created_at: 1, updated_at: 1, expires_at: 1 }
          yield* sql`INSERT INTO synth_jobs ${
            sql.insert(Array.map(some, (job_id, k) => ({
              job_id,
              created_on: day,
              tenant_id: `tenant${k % 20}`,
              user_id: "user",
              voice_id: "vox_a",
              request: "",
              status: "queued",
              characters: 1,
              ...times
            })))
          }`
          yield* sql`INSERT INTO job_queue ${
            sql.insert(Array.map(some, (id, k) => ({
              queue: "short",
              id,
              flow: `tenant${k % 20}`,
              element: `{"flow":"tenant${k % 20}","cost":1}`,
              position: 1_000_000 + 250 * i + k,
              ready: 1,
              visible_at: 1,
              attempts: 0
            })))
          }`
        }
        yield* sql.onDialectOrElse({
          mysql: () => sql`ANALYZE TABLE synth_jobs, job_queue`.unprepared,
          orElse: () => sql`ANALYZE`
        })
        const statements = yield* statementsOf(everything)
        assert.ok(statements.length >= 12, `${statements.length} statements`)
        for (const [text, parameters] of statements) {
          const explain = db.name === "MariaDB" ? "EXPLAIN PARTITIONS" : "EXPLAIN QUERY PLAN"
          const plan = yield* sql.unsafe<any>(`${explain} ${text}`, parameters)
          for (const step of plan) {
            const said = `${text}\n${JSON.stringify(step)}`
            if (db.name === "SQLite") assert.doesNotMatch(step.detail, /^SCAN (synth_jobs|job_queue)(?! USING)/u, said)
            else if (step.table === "synth_jobs") {
              const one = `p${day.slice(0, 7).replace("-", "_")}`
              assert.ok(step.partitions === one || step.key === "synth_jobs_by_user", said)
              assert.notEqual(step.type, "ALL", said)
            } else if (step.table === "job_queue") assert.ok(step.key !== null && step.type !== "ALL", said)
          }
        }
        yield* sql`DELETE FROM job_queue`
      }))

    it.effect("old months go without a live job being touched, and not before nothing of theirs is left", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const jobs = yield* JobRepo
        const { jobId } = yield* enqueue()
        const now = Date.now()
        const old = (months: number) =>
          dayOf(Date.UTC(new Date(now).getUTCFullYear(), new Date(now).getUTCMonth() - months, 15))
        const row = { tenant_id: "t", user_id: "u", voice_id: "v", status: "completed", request: "", characters: 1 }
        const times = { created_at: 1, updated_at: 1, expires_at: 1 }
        // Months of before there were jobs are made for this test alone.
        if (db.name === "MariaDB") {
          yield* sql`ALTER TABLE synth_jobs REMOVE PARTITIONING`.unprepared
          yield* sql`ALTER TABLE synth_jobs PARTITION BY RANGE COLUMNS (created_on) (
            PARTITION later VALUES LESS THAN (MAXVALUE))`.unprepared
          for (const months of [6, 2]) yield* ensurePartitions(Date.parse(old(months)))
        }
        yield* sql`INSERT INTO synth_jobs ${
          sql.insert([
            { job_id: "job_old", created_on: old(6), purge_at: null, ...row, ...times },
            { job_id: "job_kept", created_on: old(5), purge_at: 1, ...row, ...times },
            { job_id: "job_young", created_on: old(1), purge_at: null, ...row, ...times }
          ])
        }`
        assert.equal(yield* dropPartitions(Date.parse(old(3))), db.name === "MariaDB" ? 2 : 1)
        const left = yield* sql<{ job_id: string }>`
          SELECT job_id FROM synth_jobs WHERE job_id IN ('job_old', 'job_kept', 'job_young') ORDER BY job_id`
        assert.deepEqual(left.map(({ job_id }) => job_id), ["job_kept", "job_young"])
        assert.equal((yield* jobs.find(caller, jobId)).status, "queued")
        assert.equal(yield* dropPartitions(Date.parse(old(3))), 0)
      }))
  })
}
