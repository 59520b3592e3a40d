/** What a run does, whatever speaks: over a scripted pipeline, a real queue, real rows and real objects. */
import { layer } from "@effect/vitest"
import { Effect, Exit, Layer, Redacted, Scope, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { mkdtemp, readdir, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  BackendFailed,
  BackendUnavailable,
  SaveToFailed,
  StorageUnavailable,
  VoiceNotReady
} from "../../src/domain/Failure.ts"
import type { Failure } from "../../src/domain/Failure.ts"
import { RequestId, TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import type { JobId } from "../../src/domain/Ids.ts"
import { folderOf, isDeadly, isEnded } from "../../src/domain/Job.ts"
import type { AuthUser } from "../../src/domain/Permission.ts"
import type { SpeakRequest } from "../../src/domain/SpeakRequest.ts"
import * as SynthJobs from "../../src/jobs/SynthJobs.ts"
import { Accounting } from "../../src/services/Accounting.ts"
import { AudioEncoder } from "../../src/services/AudioEncoder.ts"
import { Database } from "../../src/services/Database.ts"
import { DriveSink } from "../../src/services/DriveSink.ts"
import { makeId } from "../../src/services/Ids.ts"
import { JobQueue } from "../../src/services/JobQueue.ts"
import { JobRepo } from "../../src/services/JobRepo.ts"
import { JobRuns } from "../../src/services/JobRuns.ts"
import type { Run } from "../../src/services/JobRuns.ts"
import { Ledger } from "../../src/services/Ledger.ts"
import { Licences } from "../../src/services/Licences.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import * as Filesystem from "../../src/services/ObjectStore/Filesystem.ts"
import { Signals } from "../../src/services/Signals.ts"
import { Synthesis } from "../../src/services/Synthesis.ts"
import type { SynthesisPlan, SynthesisRequest } from "../../src/services/Synthesis.ts"
import { voice } from "../layers/voices.ts"

const sampleRate = 8000
const sentence = "Some seven words are in this sentence. "
const textOf = (sentences: number) => sentence.repeat(sentences)

/** What was asked of the pipeline, and what it is to do. */
const script = {
  asked: [] as Array<SynthesisRequest>,
  refuse: (() => undefined) as (request: SynthesisRequest) => Failure | undefined,
  plan: (): Partial<SynthesisPlan> => ({}),
  hang: false,
  /** No run can begin: the database does not answer. */
  away: false
}
const reset = Effect.sync(() =>
  Object.assign(script, { asked: [], refuse: () => undefined, plan: () => ({}), hang: false, away: false })
)

/** Ten bytes a character, each the character's own. */
const soundOf = (text: string) => Buffer.from([...text].flatMap((c) => Array(10).fill(c.charCodeAt(0))))

const Scripted = Layer.mock(Synthesis, {
  speak: (request) =>
    Effect.suspend(() => {
      script.asked.push(request)
      const refusal = script.refuse(request)
      if (refusal !== undefined) return Effect.fail(refusal)
      const plan: SynthesisPlan = {
        synthesisId: request.partOf!.synthesisId,
        voice: voice(),
        backend: "A",
        nodeId: "one",
        engine: "e",
        model: "m",
        sampleRate,
        characters: request.text.length,
        ignoredParams: [],
        reasons: [],
        ...script.plan()
      }
      const audio = Stream.succeed({ pcm: soundOf(request.text), words: [] })
      return Effect.succeed({
        plan,
        backend: () => plan.backend,
        audio: script.hang ? Stream.concat(audio, Stream.never) : audio,
        onStop: () => {}
      })
    })
})

const Runs = Layer.effect(
  JobRuns,
  Effect.map(JobRuns, (runs) => ({
    ...runs,
    begin: (jobId: JobId, attempts: number) =>
      Effect.suspend(() =>
        script.away
          ? Effect.fail(new StorageUnavailable({ store: "database", cause: new Error("away") }))
          : runs.begin(jobId, attempts)
      )
  }))
).pipe(Layer.provide(JobRuns.layer))

const saves: Array<string> = []
const Sink = Layer.succeed(
  DriveSink,
  DriveSink.of({
    save: ({ body, saveTo, size }) =>
      Effect.flatMap(Stream.runFold(body, () => 0, (sum, bytes) => sum + bytes.length), (read) => {
        saves.push(`${saveTo.shareId} ${read === size}`)
        return saveTo.shareId === "full"
          ? Effect.fail(new SaveToFailed({ reason: "the share is full" }))
          : Effect.succeed({ fileId: "file_1", name: "a.wav" })
      })
  })
)

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-jobs-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)
let root = ""
const Stores = Layer.unwrap(Effect.map(folder, (path) => {
  root = join(path, "objects")
  return Layer.merge(
    Database.layer(Redacted.make(`sqlite:${join(path, "test.sqlite")}`)),
    Filesystem.layer({ folder: root })
  )
}))

/** Bytes of each object that is on its way. */
const drafts = Effect.promise(async () => {
  const folder = join(root, ".tmp")
  const sizes = (await readdir(folder)).map(async (name) => (await stat(join(folder, name))).size)
  return Promise.all(sizes)
})

const Live = Layer.mergeAll(
  JobRepo.layer({ keepMs: 3_600_000 }),
  Runs,
  Scripted,
  Sink,
  Accounting.layer({ tenantConcurrency: 2, tenantSessions: 0 }),
  AudioEncoder.layer({ workers: 1 })
).pipe(
  Layer.provideMerge(JobQueue.layer({ leaseMs: 60_000 })),
  Layer.provideMerge(Layer.mergeAll(Licences.layer, Ledger.layer, Signals.layerMemory)),
  Layer.provideMerge(Stores)
)

const caller: AuthUser = {
  userId: UserId.make("ada"),
  tenantId: TenantId.make("acme"),
  role: "tenant_admin",
  permissions: new Set(),
  credential: { kind: "jwt" }
}

const enqueue = Effect.fnUntraced(function*(text: string, more: Partial<SpeakRequest> = {}) {
  const jobs = yield* JobRepo
  const speak: SpeakRequest = {
    text,
    voiceId: VoiceId.make("vox_flite_awb"),
    responseFormat: "pcm",
    backendPreference: "any",
    forceAsync: true,
    timestamps: "none",
    ...more
  }
  const synthesisId = yield* makeId("syn")
  const job = { requestId: RequestId.make("req_1"), caller, speak, synthesisId, licenceId: null }
  return (yield* jobs.enqueue(job, () => Effect.void)).jobId
})

/** A process with a pool, until it is stopped. */
const pool = Effect.gen(function*() {
  const scope = yield* Scope.make()
  const context = yield* Effect.context<Layer.Success<typeof Live>>()
  yield* Layer.buildWithScope(Layer.fresh(SynthJobs.layer({ concurrency: 2 })), scope).pipe(Effect.provide(context))
  return { stop: Scope.close(scope, Exit.void) }
})

const breath = Effect.promise(() => new Promise((resume) => setTimeout(resume, 10)))

/** Lets seconds pass until it holds. */
const until = Effect.fnUntraced(function*<A, E, R>(look: Effect.Effect<A, E, R>, holds: (a: A) => boolean) {
  for (let seconds = 0; seconds < 600; seconds++) {
    const seen = yield* look
    if (holds(seen)) return seen
    yield* breath
    yield* TestClock.adjust("1 second")
  }
  return assert.fail("it did not come to that in ten minutes")
})

const jobOf = (jobId: JobId) => JobRepo.use((jobs) => jobs.find(caller, jobId))
const ended = (jobId: JobId) => until(jobOf(jobId), ({ status }) => isEnded(status))
const runsOf = (jobId: JobId) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      Effect.map(sql<{ fence: number }>`SELECT fence FROM synth_jobs WHERE job_id = ${jobId}`, ([row]) => row!.fence)
  )
const names = (jobId: JobId) =>
  ObjectStore.use((objects) =>
    objects.list(folderOf(jobId)).pipe(
      Stream.map(({ key }) => key.slice(folderOf(jobId).length)),
      Stream.runCollect,
      Effect.map((keys) => keys.toSorted())
    )
  )
const usage = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    sql<{ synthesis_id: string; outcome: string; characters: number }>`
    SELECT synthesis_id, outcome, characters FROM usage_records`
)

layer(Live)("a run of a job", (it) => {
  const test = (
    name: string,
    body: Effect.Effect<unknown, unknown, Layer.Success<typeof Live> | Scope.Scope>
  ) =>
    it.effect(name, () =>
      Effect.gen(function*() {
        yield* reset
        const { stop } = yield* pool
        yield* Effect.ensuring(body, stop)
      }))

  test(
    "speaks segments that joined are the text, not more at once than its tenant may, all by one speaker",
    Effect.gen(function*() {
      const text = textOf(100)
      const accounting = yield* Accounting
      let most = 0
      script.refuse = () => ((most = Math.max(most, accounting.openHolds())), undefined)
      const jobId = yield* enqueue(text)
      const job = yield* ended(jobId)
      assert.equal(job.status, "completed")
      const objects = yield* ObjectStore
      const sound = yield* objects.read(job.audioUri!)
      assert.ok(Buffer.from(sound).equals(soundOf(text)))
      assert.equal(most, 2)
      assert.deepEqual(script.asked.map(({ only }) => only), [undefined, ...Array(job.segmentsTotal - 1).fill("A")])
      assert.ok(script.asked.every(({ unbroken }) => unbroken === true))
      assert.equal(accounting.openHolds(), 0)
    })
  )

  test(
    "waits for a backend that is away, and speaks nothing twice",
    Effect.gen(function*() {
      let refused = 0
      script.refuse = () => (refused++ < 5 ? new BackendUnavailable({ reasons: ["away"] }) : undefined)
      const job = yield* ended(yield* enqueue(textOf(3)))
      assert.deepEqual([job.status, job.attempts], ["completed", 1])
      assert.equal(script.asked.length, 6)
    })
  )

  test(
    "is tried five times over a text that breaks its backend, goes on where it was, and then fails with the reason",
    Effect.gen(function*() {
      const text = `${textOf(30)}Poison is in here. ${textOf(1)}`
      script.refuse = ({ text }) =>
        text.includes("Poison") ? new BackendFailed({ backend: "A", cause: new Error("died") }) : undefined
      const jobId = yield* enqueue(text)
      const job = yield* ended(jobId)
      assert.deepEqual([job.status, job.attempts, job.errorCode], ["failed", 5, "SCAISPEAK_BACKEND_FAILED"])
      assert.equal(job.statusReason, "The backend broke while it was speaking.")
      const harmless = script.asked.filter(({ text }) => !text.includes("Poison")).map(({ text }) => text)
      assert.equal(new Set(harmless).size, harmless.length, "what was finished is not spoken again")
      yield* until(names(jobId), (left) => left.length === 0)
      const rows = (yield* usage).filter(({ synthesis_id }) => synthesis_id === job.synthesisId)
      assert.deepEqual(rows.map(({ characters, outcome }) => [outcome, characters]), [["failed", job.charactersDone]])
      assert.ok(job.charactersDone > 0 && job.charactersDone < text.length)
    })
  )

  test(
    "fails at once when no other run could do better",
    Effect.gen(function*() {
      script.refuse = () => new VoiceNotReady({ reason: "consent revoked" })
      const job = yield* ended(yield* enqueue(textOf(3)))
      assert.deepEqual([job.status, job.attempts, job.statusReason], [
        "failed",
        1,
        "The voice cannot speak now. consent revoked"
      ])
      assert.equal(script.asked.length, 1)
    })
  )

  test(
    "does not let another model go on for the one that began",
    Effect.gen(function*() {
      script.plan = () => script.asked.length > 1 ? { model: "other" } : {}
      const job = yield* ended(yield* enqueue(textOf(40)))
      assert.deepEqual([job.status, job.errorCode], ["failed", "SCAISPEAK_BACKEND_FAILED"])
    })
  )

  it.effect("that is stopped with its process goes on in another one, from the finished segments, at no attempt's cost", () =>
    Effect.gen(function*() {
      yield* reset
      const text = textOf(60)
      script.refuse = () => {
        script.hang = script.asked.length > 2
        return undefined
      }
      const jobId = yield* enqueue(text)
      const one = yield* pool
      yield* until(jobOf(jobId), ({ segmentsDone }) => segmentsDone === 2 && script.asked.length > 2)
      yield* one.stop
      yield* reset
      const other = yield* pool
      const job = yield* ended(jobId)
      yield* other.stop
      assert.deepEqual([job.status, job.attempts], ["completed", 1])
      assert.equal(script.asked.length, job.segmentsTotal - 2)
      assert.ok(Buffer.from(yield* ObjectStore.use((objects) => objects.read(job.audioUri!))).equals(soundOf(text)))
    }))

  const ends: Readonly<Record<string, (runs: JobRuns["Service"], run: Run) => Effect.Effect<void, unknown>>> = {
    "dies": () => Effect.void,
    "dies while it waits": (runs, run) => runs.waiting(run),
    "dies after it has waited": (runs, run) => Effect.andThen(runs.waiting(run), runs.atWork(run)),
    "finishes a segment, and dies over the next": (runs, run) =>
      runs.progress(run, { segmentsDone: 1, charactersDone: 10, audioMs: 10 }),
    "fails": (runs, run) => runs.putBack(run, "away"),
    "gives way": (runs, run) => runs.putBack(run, null),
    "is stopped with its process": () => Effect.void
  }
  /** These come again under the same number. */
  const letOff: ReadonlySet<string> = new Set(["gives way", "is stopped with its process"])
  const table: ReadonlyArray<readonly [runs: ReadonlyArray<string>, deaths: number]> = [
    [["dies"], 1],
    [["dies", "dies", "dies"], 3],
    [["dies after it has waited"], 1],
    [["dies while it waits"], 0],
    [["dies while it waits", "dies", "dies while it waits", "dies"], 2],
    [["fails"], 0],
    [["dies", "fails", "dies", "fails"], 2],
    [["is stopped with its process"], 0],
    [["is stopped with its process", "dies", "is stopped with its process", "dies"], 2],
    [["gives way", "gives way"], 0],
    [["dies", "gives way", "dies"], 2],
    [["the database is away"], 0],
    [["dies", "the database is away", "dies"], 2],
    [["dies", "dies", "finishes a segment, and dies over the next"], 1],
    [["finishes a segment, and dies over the next", "dies", "dies"], 3],
    [["finishes a segment, and dies over the next", "finishes a segment, and dies over the next"], 1]
  ]
  for (const [given, deaths] of table) {
    it.effect(`that ${given.join(", then one that ")}: ${deaths} deaths are the job's`, () =>
      Effect.gen(function*() {
        const runs = yield* JobRuns
        const jobId = yield* enqueue(textOf(2))
        let attempts = 1
        for (const end of given) {
          if (end in ends) yield* ends[end]!(runs, (yield* runs.begin(jobId, attempts))!)
          if (!letOff.has(end)) attempts++
        }
        assert.equal((yield* runs.begin(jobId, attempts))!.row.deaths, deaths)
        yield* JobRepo.use((jobs) => jobs.cancel(caller, jobId))
      }))
  }

  it.effect("that its process dies of each time ends its job, and another run of an ended job only tidies", () =>
    Effect.gen(function*() {
      yield* reset
      const sql = yield* SqlClient.SqlClient
      const runs = yield* JobRuns
      const jobId = yield* enqueue(textOf(2))
      for (let attempts = 1; attempts <= 10; attempts++) {
        assert.ok(!isDeadly((yield* runs.begin(jobId, attempts))!.row.deaths))
      }
      yield* sql`UPDATE job_queue SET attempts = 10 WHERE id = ${jobId}`
      const { stop } = yield* pool
      const job = yield* ended(jobId)
      assert.deepEqual([job.status, job.statusReason], ["failed", "Whatever ran it died of it each time."])
      assert.equal(script.asked.length, 0)
      const objects = yield* ObjectStore
      yield* objects.put(`${folderOf(jobId)}segments/000000.pcm`, new Uint8Array(2), { contentType: "audio/pcm" })
      yield* JobQueue.use((queue) => queue.offer("short", { jobId, tenantId: caller.tenantId, characters: 1 }))
      yield* until(names(jobId), (left) => left.length === 0)
      yield* stop
    }))

  const atWork = (jobId: JobId) =>
    Effect.flatMap(SqlClient.SqlClient, (sql) =>
      Effect.map(
        sql<{ at_work: number | null }>`SELECT at_work FROM synth_jobs WHERE job_id = ${jobId}`,
        ([row]) => row!.at_work
      ))

  test(
    "is at work while anything of its job is in hand, and not while it waits for a backend or a place",
    Effect.gen(function*() {
      const accounting = yield* Accounting
      const seen: Array<number | null> = []
      script.refuse = () => new BackendUnavailable({ reasons: ["away"] })
      const away = yield* enqueue(textOf(3))
      yield* until(Effect.sync(() => script.asked.length), (asked) => asked > 1)
      seen.push(yield* until(atWork(away), (attempt) => attempt === null))
      Object.assign(script, { refuse: () => undefined, hang: true })
      seen.push(yield* until(atWork(away), (attempt) => attempt !== null))
      yield* JobRepo.use((jobs) => jobs.cancel(caller, away))
      yield* until(Effect.sync(() => accounting.openHolds()), (open) => open === 0)
      const places = yield* Scope.make()
      for (let i = 0; i < 2; i++) yield* Effect.provideService(accounting.place(caller.tenantId), Scope.Scope, places)
      script.hang = false
      const crowded = yield* enqueue(textOf(3))
      yield* until(jobOf(crowded), ({ status }) => status === "running")
      seen.push(yield* until(atWork(crowded), (attempt) => attempt === null))
      yield* Scope.close(places, Exit.void)
      assert.equal((yield* ended(crowded)).status, "completed")
      assert.deepEqual(seen, [null, 1, null])
    })
  )

  test(
    "that the database is away for begins when it is back, at no attempt's cost",
    Effect.gen(function*() {
      script.away = true
      const jobId = yield* enqueue(textOf(3))
      for (let seconds = 0; seconds < 200; seconds++) {
        yield* breath
        yield* TestClock.adjust("1 second")
      }
      assert.equal((yield* jobOf(jobId)).status, "queued")
      script.away = false
      const job = yield* ended(jobId)
      assert.deepEqual([job.status, job.attempts], ["completed", 1])
    })
  )

  test(
    "lets others go first after a slice, and is put together once",
    Effect.gen(function*() {
      const both = [yield* enqueue(textOf(1200)), yield* enqueue(textOf(1200))]
      const runs: Array<number> = []
      let segments = 0
      for (const jobId of both) {
        const job = yield* ended(jobId)
        assert.deepEqual([job.status, job.attempts], ["completed", 1])
        const sound = yield* ObjectStore.use((objects) => objects.read(job.audioUri!))
        assert.ok(Buffer.from(sound).equals(soundOf(textOf(1200))))
        runs.push(yield* runsOf(jobId))
        segments += job.segmentsTotal
      }
      assert.deepEqual(runs, [3, 3], "three slices each")
      assert.equal(script.asked.length, segments, "nothing is spoken twice")
    })
  )

  test(
    "goes on to its end where nobody waits",
    Effect.gen(function*() {
      const jobId = yield* enqueue(textOf(1200))
      assert.equal((yield* ended(jobId)).status, "completed")
      assert.equal(yield* runsOf(jobId), 1)
    })
  )

  test(
    "is encoded while it is spoken, seen by nobody before it is whole, and stops at once when it is canceled",
    Effect.gen(function*() {
      const text = textOf(120)
      script.refuse = ({ text }) => {
        script.hang = text.startsWith("Chapter 2")
        return undefined
      }
      const jobId = yield* enqueue(`${text}\n\nChapter 2\n\nIt is not heard.`, { responseFormat: "mp3" })
      const encoder = yield* AudioEncoder
      yield* until(
        jobOf(jobId),
        ({ segmentsDone, segmentsTotal }) => segmentsDone > 0 && segmentsDone === segmentsTotal - 1
      )
      yield* until(drafts, (sizes) => sizes.some((size) => size > 2000))
      assert.equal(yield* encoder.active, 1)
      assert.ok((yield* names(jobId)).every((name) => name.startsWith("segments/")))
      yield* JobRepo.use((jobs) => jobs.cancel(caller, jobId))
      yield* until(names(jobId), (left) => left.length === 0)
      assert.equal(yield* encoder.active, 0)
      assert.deepEqual(yield* drafts, [])
    })
  )

  for (
    const more of [{ responseFormat: "mp3" }, { responseFormat: "flac" }, {
      responseFormat: "wav",
      sampleRate: 16000
    }] as const
  ) {
    it.effect(`that is stopped while it is encoded leaves the very file of an undisturbed one: ${more.responseFormat}`, () =>
      Effect.gen(function*() {
        yield* reset
        const objects = yield* ObjectStore
        const text = textOf(90)
        const one = yield* pool
        const calm = yield* ended(yield* enqueue(text, more))
        script.asked.length = 0
        script.refuse = () => {
          script.hang = script.asked.length > 3
          return undefined
        }
        const jobId = yield* enqueue(text, more)
        yield* until(jobOf(jobId), ({ segmentsDone }) => segmentsDone === 3 && script.asked.length > 3)
        yield* one.stop
        assert.deepEqual(yield* drafts, [])
        yield* reset
        const other = yield* pool
        const job = yield* ended(jobId)
        assert.equal(job.audioMs, calm.audioMs)
        assert.ok(Buffer.from(yield* objects.read(job.audioUri!)).equals(yield* objects.read(calm.audioUri!)))
        yield* until(names(jobId), (left) => left.length === 2)
        yield* other.stop
      }))
  }

  test(
    "is saved where it was asked to, and is completed and kept when that fails",
    Effect.gen(function*() {
      const well = yield* ended(yield* enqueue(textOf(2), { saveTo: { shareId: "home" } }))
      assert.deepEqual(well.saved, {
        status: "saved",
        share_id: "home",
        file_id: "file_1",
        name: "a.wav",
        reason: null
      })
      const full = yield* ended(yield* enqueue(textOf(2), { saveTo: { shareId: "full" } }))
      assert.equal(full.status, "completed")
      assert.deepEqual(full.saved, {
        status: "failed",
        share_id: "full",
        file_id: null,
        name: null,
        reason: "the share is full"
      })
      assert.ok((yield* names(full.jobId)).includes("audio.pcm"))
      assert.deepEqual(saves, ["home true", "full true"])
    })
  )
})
