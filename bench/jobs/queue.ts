/** The queue by itself: our store and Effect's own, with the same jobs in the same order. */
import { Cause, Effect, Layer, Redacted } from "effect"
import { PersistedQueue } from "effect/persistence"
import { SqlClient } from "effect/sql"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RequestId, TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import type { AuthUser } from "../../src/domain/Permission.ts"
import { Database } from "../../src/services/Database.ts"
import { makeId } from "../../src/services/Ids.ts"
import { JobQueue } from "../../src/services/JobQueue.ts"
import * as FairStore from "../../src/services/JobQueue/FairStore.ts"
import { JobRepo } from "../../src/services/JobRepo.ts"
import { Licences } from "../../src/services/Licences.ts"
import { Signals } from "../../src/services/Signals.ts"
import { startDurableMariadb } from "../../test/servers/Mariadb.ts"
import { quantile } from "../harness.ts"

const jobs = 10_000
const tenants = 20
/** The first tenant has the rest, and came first. */
const jobsOfOthers = 100
const takers = 8
const enqueuers = 8
const text = "It is easy to tell the depth of a well by the sound of a stone."

const tenantAt = (i: number): string =>
  i < jobs - (tenants - 1) * jobsOfOthers ? "tenant0" : `tenant${1 + (i % (tenants - 1))}`
const callerOf = (tenant: string): AuthUser => ({
  userId: UserId.make("ada"),
  tenantId: TenantId.make(tenant),
  role: "tenant_admin",
  permissions: new Set(),
  credential: { kind: "jwt" }
})

const jain = (shares: ReadonlyArray<number>): number =>
  shares.reduce((sum, x) => sum + x, 0) ** 2 / (shares.length * shares.reduce((sum, x) => sum + x * x, 0))

interface Ways {
  readonly put: (i: number) => Effect.Effect<unknown, unknown>
  /** Takes one, says whose it was, and is done with it. */
  readonly take: Effect.Effect<string, unknown>
}

const measure = Effect.fnUntraced(function*(name: string, { put, take }: Ways) {
  const began = performance.now()
  yield* Effect.forEach(Array.from({ length: jobs }, (_, i) => i), put, { concurrency: enqueuers, discard: true })
  const enqueued = performance.now() - began
  const order: Array<string> = []
  const waits: Array<number> = []
  const draining = performance.now()
  yield* Effect.forEach(
    Array.from({ length: takers }),
    () =>
      Effect.gen(function*() {
        while (order.length < jobs - takers) {
          const asked = performance.now()
          order.push(yield* take)
          waits.push(performance.now() - asked)
        }
      }),
    { concurrency: takers, discard: true }
  )
  const drained = performance.now() - draining
  const shared = new Map(Array.from({ length: tenants }, (_, i) => [`tenant${i}`, 0]))
  for (const tenant of order.slice(0, tenants * jobsOfOthers)) shared.set(tenant, shared.get(tenant)! + 1)
  console.log(
    `${name}: ${(jobs / enqueued * 1000).toFixed(0)} jobs/s taken in, ${
      (order.length / drained * 1000).toFixed(0)
    }/s handed out, ` +
      `one in p50 ${quantile(waits, 0.5).toFixed(1)} ms, p99 ${quantile(waits, 0.99).toFixed(1)} ms; fairness ${
        jain([...shared.values()]).toFixed(3)
      }; the last tenant's first job came in place ${order.indexOf(`tenant${tenants - 1}`) + 1}`
  )
})

const ours = Effect.gen(function*() {
  const repo = yield* JobRepo
  const queue = yield* JobQueue
  const sql = yield* SqlClient.SqlClient
  return {
    put: Effect.fnUntraced(function*(i: number) {
      yield* repo.enqueue({
        requestId: RequestId.make("req_bench"),
        caller: callerOf(tenantAt(i)),
        speak: {
          text,
          voiceId: VoiceId.make("vox_flite_awb"),
          responseFormat: "mp3",
          backendPreference: "any",
          forceAsync: true,
          timestamps: "none"
        },
        synthesisId: yield* makeId("syn"),
        licenceId: null
      }, () => Effect.void)
    }),
    take: queue.take(
      "short",
      (jobId) =>
        Effect.map(
          sql<{ tenant_id: string }>`SELECT tenant_id FROM synth_jobs WHERE job_id = ${jobId}`,
          ([row]) => row!.tenant_id
        )
    )
  } satisfies Ways
})

/** The row as ours writes it, and an offer to the store that is shipped, in one transaction. */
const shipped = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const store = yield* PersistedQueue.makeStoreSql({ pollInterval: "1 second" })
  const factory = yield* Effect.provideService(PersistedQueue.makeFactory, PersistedQueue.PersistedQueueStore, store)
  const queue = yield* factory.make({ name: "jobs", schema: FairStore.Turn })
  return {
    put: Effect.fnUntraced(function*(i: number) {
      const id = yield* makeId("job")
      const row = {
        job_id: id,
        created_on: new Date().toISOString().slice(0, 10),
        tenant_id: tenantAt(i),
        user_id: "ada",
        voice_id: "vox_flite_awb",
        status: "queued",
        request: JSON.stringify({ text }),
        characters: text.length,
        created_at: 0,
        updated_at: 0,
        expires_at: 0
      }
      yield* sql.withTransaction(Effect.andThen(
        sql`INSERT INTO synth_jobs ${sql.insert(row)}`,
        queue.offer({ flow: tenantAt(i), cost: 1 }, { id })
      ))
    }),
    take: queue.take((_, { id }) =>
      Effect.map(
        sql<{ tenant_id: string }>`SELECT tenant_id FROM synth_jobs WHERE job_id = ${id}`,
        ([row]) => row!.tenant_id
      )
    )
  } satisfies Ways
})

export const queue = async () => {
  const folder = await mkdtemp(join(tmpdir(), "scaispeak-bench-"))
  const mariadb = await startDurableMariadb()
  const on = (url: string) =>
    Layer.provideMerge(
      JobRepo.layer({ keepMs: 3_600_000 }).pipe(
        Layer.provideMerge(JobQueue.layer({ leaseMs: 30_000 })),
        Layer.provideMerge(Layer.merge(Licences.layer, Signals.layerMemory))
      ),
      Database.layer(Redacted.make(url))
    )
  for (
    const [name, url] of [
      ["MariaDB, durable at every commit", mariadb.url],
      ["SQLite", `sqlite:${join(folder, "bench.sqlite")}`]
    ] as const
  ) {
    const program = Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* measure(`${name}, our store`, yield* ours)
      yield* sql`DELETE FROM synth_jobs`
      yield* measure(`${name}, Effect's store`, yield* shipped)
    }).pipe(Effect.scoped, Effect.provide(on(url)))
    await Effect.runPromise(Effect.tapCause(program, (cause) => Effect.sync(() => console.error(Cause.pretty(cause)))))
  }
  await mariadb.stop()
  await rm(folder, { recursive: true, force: true })
}
