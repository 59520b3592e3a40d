import { describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { Database, migrate } from "../../src/services/Database.ts"
import { dayOf, makeId, millisOf } from "../../src/services/Ids.ts"
import * as Migrations from "../../src/services/sql/Migrations.ts"
import { ensurePartitions } from "../../src/services/sql/Partitions.ts"
import { sqlLayers } from "./sqlLayers.ts"

const names = [
  "0001_tenants",
  "0002_voices",
  "0003_ledger",
  "0004_idempotency",
  "0005_synth_jobs",
  "0006_routing",
  "0007_consents",
  "0008_licences",
  "0009_voice_pages",
  "0010_intake",
  "0011_erasure",
  "0012_recordings",
  "0013_jobs",
  "0014_webhooks",
  "0015_job_deaths"
]

const recorded = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const rows = yield* sql<{ name: string }>`SELECT name FROM migrations ORDER BY name`
  return rows.map(({ name }) => name)
})

const table = (name: string) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE IF NOT EXISTS ${sql(name)} (id INT PRIMARY KEY)`
  })

for (const db of sqlLayers) {
  describe(`Migrations on ${db.name}`, () => {
    it.live("applies everything once, and nothing when run again", () =>
      Effect.gen(function*() {
        const client = Database.client(yield* db.freshUrl)
        assert.deepEqual(yield* Effect.provide(migrate, client), names)
        assert.deepEqual(yield* Effect.provide(migrate, client), [])
        assert.deepEqual(yield* Effect.provide(recorded, client), names)
      }))

    it.live("applies once when five processes start together", () =>
      Effect.gen(function*() {
        const url = yield* db.freshUrl
        const start = Effect.suspend(() => Effect.provide(migrate, Layer.fresh(Database.client(url))))
        const applied = yield* Effect.all(Array.from({ length: 5 }, () => start), { concurrency: "unbounded" })
        assert.deepEqual(applied.flat().toSorted(), names)
      }))

    it.live("does not record a migration that failed, and finishes it when it is mended", () =>
      Effect.gen(function*() {
        const first = { name: "0001_first", up: table("first") }
        const halfway = Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          yield* table("second")
          yield* sql`INSERT INTO nowhere VALUES (1)`
        })
        yield* Effect.flip(Migrations.run([first, { name: "0002_second", up: halfway }]))
        // In SQLite the whole run was undone, in MariaDB what came before the failure stays.
        const kept = yield* Effect.orElseSucceed(recorded, (): Array<string> => [])
        assert.ok(!kept.includes("0002_second"))
        yield* Migrations.run([first, { name: "0002_second", up: table("second") }])
        assert.deepEqual(yield* recorded, ["0001_first", "0002_second"])
      }).pipe(Effect.provide(Layer.unwrap(Effect.map(db.freshUrl, Database.client)))))
  })
}

const mariadb = sqlLayers[0]!

describe("partitions of synth_jobs", () => {
  const november = Date.UTC(2026, 10, 22)
  const partitions = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const rows = yield* sql<{ name: string }>`SELECT PARTITION_NAME AS name FROM information_schema.PARTITIONS
      WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'synth_jobs' ORDER BY PARTITION_ORDINAL_POSITION`
    return rows.map(({ name }) => name)
  })
  const insertJob = (jobId: string, createdOn: string) =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const job = {
        job_id: jobId,
        created_on: createdOn,
        tenant_id: "t",
        user_id: "u",
        voice_id: "vox_a",
        request: "{}"
      }
      const times = { created_at: 0, updated_at: 0, expires_at: 0 }
      yield* sql`INSERT INTO synth_jobs ${sql.insert({ ...job, ...times, status: "queued", characters: 1 })}`
    })
  // A fresh database whose only months are those that the test asks for.
  const unpartitioned = Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* migrate
    yield* sql`ALTER TABLE synth_jobs PARTITION BY RANGE COLUMNS (created_on) (
      PARTITION later VALUES LESS THAN (MAXVALUE))`.unprepared
  })

  it.live("are made three months ahead, each once, however often and by whomever they are asked for", () =>
    Effect.gen(function*() {
      yield* unpartitioned
      const made = yield* Effect.all([november, november, november].map(ensurePartitions), { concurrency: 3 })
      assert.deepEqual(made.flat(), ["p2026_11", "p2026_12", "p2027_01", "p2027_02"])
      assert.deepEqual(yield* ensurePartitions(Date.UTC(2026, 11, 1)), ["p2027_03"])
      assert.deepEqual(yield* ensurePartitions(Date.UTC(2026, 11, 31)), [])
      assert.deepEqual(yield* partitions, ["p2026_11", "p2026_12", "p2027_01", "p2027_02", "p2027_03", "later"])
    }).pipe(Effect.provide(Layer.unwrap(Effect.map(mariadb.freshUrl, Database.client)))))

  it.live("take over rows that were stored before their month was made", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* unpartitioned
      yield* ensurePartitions(november)
      yield* insertJob("job_late", "2027-05-17")
      yield* ensurePartitions(Date.UTC(2027, 4, 20))
      const [row] = yield* sql`SELECT job_id, created_on FROM synth_jobs PARTITION (p2027_05)`.unprepared
      assert.deepEqual({ ...row }, { job_id: "job_late", created_on: "2027-05-17" })
    }).pipe(Effect.provide(Layer.unwrap(Effect.map(mariadb.freshUrl, Database.client)))))

  it.live("are read one at a time by id and the day inside it", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const jobId = yield* makeId("job")
      const day = dayOf(millisOf(jobId)!)
      yield* insertJob(jobId, day)
      const [plan] = yield* sql<{ partitions: string; type: string }>`
        EXPLAIN PARTITIONS SELECT * FROM synth_jobs WHERE job_id = ${jobId} AND created_on = ${day}`
      assert.equal(plan?.partitions, `p${day.slice(0, 7).replace("-", "_")}`)
      assert.equal(plan?.type, "const")
    }).pipe(Effect.provide(mariadb.layer)))
})

describe("synth_jobs on SQLite", () => {
  it.live("is a plain table with the same columns, its day read back as it was written", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`INSERT INTO synth_jobs (job_id, created_on, tenant_id, user_id, voice_id, status, request, characters,
        created_at, updated_at, expires_at) VALUES ('job_a', '2026-11-22', 't', 'u', 'v', 'queued', '{}', 1, 1, 1, 1)`
      const [row] = yield* sql`SELECT created_on, attempts FROM synth_jobs`
      assert.deepEqual({ ...row }, { created_on: "2026-11-22", attempts: 0 })
    }).pipe(Effect.provide(sqlLayers[1]!.layer)))
})
