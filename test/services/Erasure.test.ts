/** How erasures are carried out, on both databases: whatever stops them, they come to their end, and are written down once. */
import { layer } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { StorageUnavailable } from "../../src/domain/Failure.ts"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import type { AuthUser } from "../../src/domain/Permission.ts"
import { ApiKeys } from "../../src/services/ApiKeys.ts"
import * as Asking from "../../src/services/Erasure/Asking.ts"
import * as CarryOut from "../../src/services/Erasure/CarryOut.ts"
import * as OfUser from "../../src/services/Erasure/OfUser.ts"
import type { ErasedUser } from "../../src/services/Erasure/OfUser.ts"
import type { Step } from "../../src/services/Erasure/Step.ts"
import { Idempotency } from "../../src/services/Idempotency.ts"
import { makeId } from "../../src/services/Ids.ts"
import { JobExpiry } from "../../src/services/JobExpiry.ts"
import { Recordings } from "../../src/services/Recordings.ts"
import type { VoiceSubject } from "../../src/services/sql/ErasureRow.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { voice } from "../layers/voices.ts"
import { sqlLayers } from "./sqlLayers.ts"

const caller = (userId: string): AuthUser => ({
  tenantId: TenantId.make("acme"),
  userId: UserId.make(userId),
  role: "tenant_user",
  permissions: new Set(["scaispeak:voice.write"]),
  credential: { kind: "jwt" }
})
const ada = caller("ada")

const kinds = ["replies", "objects", "consents"] as const

/** Things to be removed, three of each kind, and how often each step ran. */
const world = (interfere: (kind: string, run: number) => Effect.Effect<void, StorageUnavailable>) => {
  const things = new Map<string, number>(kinds.map((kind) => [kind, 3]))
  const runs = new Map<string, number>()
  const steps = <S>(): ReadonlyArray<Step<S>> =>
    kinds.map((kind) => ({
      kind,
      erase: () =>
        Effect.gen(function*() {
          const run = (runs.get(kind) ?? 0) + 1
          runs.set(kind, run)
          const count = things.get(kind)!
          things.set(kind, 0)
          // Between what was removed and its being written down.
          yield* interfere(kind, run)
          return count
        }),
      left: () => Effect.sync(() => things.get(kind)!)
    }))
  return { ofVoice: steps<VoiceSubject>(), ofUser: steps<ErasedUser>(), things, runs }
}

const own = (scope: "user" | "tenant" = "user") =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const voiceId = yield* makeId("vox")
    const { tenantId, userId: ownerUserId } = ada
    const reference = { sha256: "ab".repeat(32), durationMs: 5000, objectKey: "k", transcript: "Secret." }
    yield* sql`INSERT INTO voices ${sql.insert(encode(voice({ voiceId, scope, tenantId, ownerUserId, reference })))}`
    return voiceId
  })

/** Columns that name a user, and how an erasure of the user gets at them. */
const naming: Readonly<Record<string, string>> = {
  "api_keys.user_id": "OfUser",
  "audit_log.actor_user_id": "OfUser",
  "idempotency_keys.user_id": "OfUser",
  "recordings.user_id": "OfUser",
  "synth_jobs.user_id": "OfUser",
  "usage_records.user_id": "OfUser",
  "users.user_id": "OfUser",
  "voices.owner_user_id": "with the voice",
  "consent_details.granted_user_agent": "with the voice",
  "consent_details.revoked_user_agent": "with the voice"
}

const asked = Effect.gen(function*() {
  const voiceId = yield* own()
  const asking = yield* Asking.make
  return { voiceId, erasureId: yield* asking.voice(ada, voiceId, () => undefined) }
})

/** What else is of a person: nothing. */
const none = () => Effect.succeed(0)
const others = Layer.mergeAll(
  Layer.mock(ApiKeys, { eraseOwner: none }),
  Layer.mock(Idempotency, { erase: none }),
  Layer.mock(JobExpiry, { erase: none }),
  Layer.mock(Recordings, { erase: none })
)

const row = (erasureId: string) =>
  SqlClient.SqlClient.use((sql) =>
    Effect.map(
      sql<{ state: string; reason: string | null; attempts: number; counts_json: string }>`
        SELECT * FROM erasures WHERE erasure_id = ${erasureId}`,
      ([row]) => row!
    )
  )

for (const { layer: database, name } of sqlLayers) {
  layer(VoiceRepo.layer.pipe(Layer.provideMerge(database), Layer.provideMerge(Logger.layer([]))))(
    `erasure on ${name}`,
    (it) => {
      for (const stopped of kinds) {
        it.effect(`whose process dies in ${stopped} is carried to its end by another`, () =>
          Effect.gen(function*() {
            const { erasureId } = yield* asked
            const reached = yield* Deferred.make<void>()
            const { things, runs, ...steps } = world((kind, run) =>
              kind === stopped && run === 1
                ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never)
                : Effect.void
            )
            const dying = yield* Effect.forkChild(yield* CarryOut.make(steps))
            yield* Deferred.await(reached)
            yield* Fiber.interrupt(dying)
            const another = yield* CarryOut.make(steps)
            assert.equal(yield* another, 0, "it has a lease")
            yield* TestClock.adjust("1 minute")
            assert.equal(yield* another, 1)
            assert.equal((yield* row(erasureId)).state, "done")
            assert.deepEqual([...things.values()], [0, 0, 0])
            assert.equal(runs.get(stopped), 2)
            yield* TestClock.adjust("1 hour")
            assert.equal(yield* another, 1, "once more, for what was under way")
            assert.equal((yield* row(erasureId)).state, "closed")
            const sql = yield* SqlClient.SqlClient
            assert.equal((yield* sql`SELECT 1 FROM erasure_audit WHERE erasure_id = ${erasureId}`).length, 1)
            yield* TestClock.adjust("1 day")
            assert.equal(yield* another, 0)
          }))
      }

      it.effect("is tried again for as long as a store is away, and says so", () =>
        Effect.gen(function*() {
          const { erasureId } = yield* asked
          let away = true
          const { things: _, runs, ...steps } = world((kind) =>
            away && kind === "objects"
              ? Effect.fail(new StorageUnavailable({ store: "objects", cause: new Error("away") }))
              : Effect.void
          )
          const run = yield* CarryOut.make(steps)
          for (let day = 0; day < 3; day++) {
            yield* run
            yield* TestClock.adjust("1 day")
          }
          const waiting = yield* row(erasureId)
          assert.deepEqual([waiting.state, Number(waiting.attempts)], ["pending", 3])
          assert.equal(runs.get("consents"), undefined, "in order")
          away = false
          yield* run
          assert.deepEqual(JSON.parse((yield* row(erasureId)).counts_json), { replies: 3, consents: 3 })
          yield* TestClock.adjust("1 hour")
          yield* run
        }))

      it.effect("of a person waits for those of their voices, by that name, and says so", () =>
        Effect.gen(function*() {
          const asking = yield* Asking.make
          const someone = caller(`mia-${name}`)
          const sql = yield* SqlClient.SqlClient
          for (let voices = 0; voices < 2; voices++) {
            const voiceId = yield* own()
            yield* sql`UPDATE voices SET owner_user_id = ${someone.userId} WHERE voice_id = ${voiceId}`
          }
          const { erasureId } = yield* asking.user(ada, someone.userId)
          const logged: Array<string> = []
          const logs = Logger.layer([Logger.make(({ message }) => void logged.push(JSON.stringify(message)))])
          let away = true
          const { ofVoice } = world(() =>
            away ? Effect.fail(new StorageUnavailable({ store: "objects", cause: new Error("away") })) : Effect.void
          )
          const run = Effect.provide(yield* CarryOut.make({ ofVoice, ofUser: yield* OfUser.make }), logs)
          yield* run
          const waiting = yield* row(erasureId)
          assert.deepEqual([waiting.state, waiting.reason], ["pending", "voices: 2 of theirs are not erased yet"])
          const waits = logged.filter((line) => line.includes("an erasure waits for those of voices"))
          assert.deepEqual(waits.map((line) => [line.includes(erasureId), line.includes("\"voices\":2")]), [[
            true,
            true
          ]])
          assert.ok(!logged.some((line) => line.includes("put off") && line.includes(erasureId)))
          away = false
          yield* TestClock.adjust("10 minutes")
          yield* run
          const end = yield* row(erasureId)
          assert.deepEqual([end.state, end.reason, JSON.parse(end.counts_json).voices], ["done", null, 2])
          yield* TestClock.adjust("1 hour")
          yield* run
        }).pipe(Effect.provide(others)))

      it.effect("is carried out by one of many", () =>
        Effect.gen(function*() {
          yield* Effect.all(Array.from({ length: 5 }, () => asked))
          const { things: _, runs, ...steps } = world(() => Effect.yieldNow)
          const processes = yield* Effect.all(Array.from({ length: 4 }, () => CarryOut.make(steps)))
          yield* Effect.all(processes, { concurrency: "unbounded" })
          assert.equal(runs.get("replies"), 5)
          yield* TestClock.adjust("1 hour")
          yield* Effect.all(processes, { concurrency: "unbounded" })
          assert.equal(runs.get("replies"), 10)
        }))

      it.effect("asked for twice at once is one", () =>
        Effect.gen(function*() {
          const voiceId = yield* own()
          const asking = yield* Asking.make
          const ids = yield* Effect.all(Array.from({ length: 4 }, () => asking.voice(ada, voiceId, () => undefined)), {
            concurrency: "unbounded"
          })
          assert.equal(new Set(ids).size, 1)
        }))

      it.effect("under way is told to those who could see the voice, and to nobody else", () =>
        Effect.gen(function*() {
          const repo = yield* VoiceRepo
          const { voiceId } = yield* asked
          const shared = yield* own("tenant")
          const asking = yield* Asking.make
          yield* asking.voice(ada, shared, () => undefined)
          const told = (userId: string, id = voiceId) =>
            Effect.map(Effect.flip(repo.toSpeak(caller(userId), id)), ({ _tag }) => _tag)
          assert.deepEqual(
            yield* Effect.all([told("ada"), told("bob"), told("bob", shared), told("ada", yield* makeId("vox"))]),
            ["VoiceNotReady", "VoiceNotFound", "VoiceNotReady", "VoiceNotFound"]
          )
          assert.deepEqual(
            (yield* repo.notReady([voiceId])).map(([, { reason }]) => reason),
            ["The voice is gone."]
          )
          const run = yield* CarryOut.make(world(() => Effect.void))
          yield* run
          yield* TestClock.adjust("10 seconds")
          assert.equal(yield* told("ada"), "VoiceNotFound")
        }))

      it.effect("knows every column that names a user", () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const columns = yield* sql.onDialectOrElse({
            mysql: () =>
              sql<{ name: string }>`SELECT CONCAT(table_name, '.', column_name) AS name
              FROM information_schema.columns WHERE table_schema = DATABASE()`,
            orElse: () =>
              sql<{ name: string }>`SELECT tables.name || '.' || columns.name AS name
              FROM sqlite_master AS tables, pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'`
          })
          const users = columns.map(({ name }) => name).filter((name) => /user/u.test(name.split(".")[1]!))
          assert.deepEqual(users.toSorted(), Object.keys(naming).toSorted())
        }))
    }
  )
}
