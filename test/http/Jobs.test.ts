/** Long texts as jobs, over real HTTP and real gRPC: taken, followed, heard, canceled; on both pairs of stores. */
import { layer } from "@effect/vitest"
import { Context, Effect, Stream } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"

import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { folderOf } from "../../src/domain/Job.ts"
import { JobExpiry } from "../../src/services/JobExpiry.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import * as ScriptedNode from "../layers/ScriptedNode.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"

const sentence = "The birch canoe slid on the smooth planks. "
/** Three segments: 43 code points a sentence, 800 at most a segment. */
const long = `Chapter 1\n\n${sentence.repeat(25)}\n\nChapter 2\n\n${sentence.repeat(10)}`

const as = (user: string, tenant = "acme") => Effect.flatMap(TestServer, ({ key }) => key(tenant, user, "tenant_admin"))

const take = Effect.fnUntraced(function*(
  key: string,
  body: Record<string, unknown> = {},
  headers: Record<string, string> = {}
) {
  const { url } = yield* TestServer
  return yield* send(
    "POST",
    `${url}/speak`,
    { text: long, voice_id: "vox_scripted_say", response_format: "wav", ...body },
    key,
    headers
  )
})

const jobAt = (path: string, key: string) => Effect.flatMap(TestServer, ({ root }) => get(root + path, key))
const ended = (path: string, key: string) =>
  until(jobAt(path, key), ({ json }) => ["completed", "failed", "canceled"].includes(json.data.status))

const keysOf = (jobId: string) =>
  Effect.flatMap(TestServer, ({ context }) =>
    Context.get(context, ObjectStore).list(folderOf(jobId as never)).pipe(
      Stream.map(({ key }) => key.slice(key.lastIndexOf("/") + 1)),
      Stream.runCollect,
      Effect.map((keys) => keys.toSorted()),
      Effect.orDie
    ))

const rows = (query: (sql: SqlClient.SqlClient) => Effect.Effect<ReadonlyArray<any>, unknown>) =>
  Effect.flatMap(TestServer, ({ context }) => Effect.orDie(query(Context.get(context, SqlClient.SqlClient))))

for (const [name, env] of stores) {
  layer(TestServer.layer(env), { excludeTestServices: true })(`jobs on ${name}`, (it) => {
    it.effect("takes a long text, speaks it in segments, and gives one file of true length", () =>
      Effect.gen(function*() {
        const { node, root, url } = yield* TestServer
        const key = yield* as("ada")
        const before = node.requests.length
        const taken = yield* take(key, { tags: ["books"] })
        assert.equal(taken.status, 202, taken.bytes.toString())
        const { characters, expires_at, job_id, status, status_url } = taken.json.data
        assert.match(job_id, /^job_[0-9a-z]{26}$/u)
        assert.equal(status, "queued")
        assert.equal(characters, long.length)
        assert.equal(taken.headers.get("location"), status_url)
        assert.ok(Date.parse(expires_at) > Date.now())

        const { json: { data } } = yield* ended(status_url, key)
        assert.equal(data.status, "completed", JSON.stringify(data))
        assert.deepEqual(data.progress, {
          segments_done: 3,
          segments_total: 3,
          characters_done: long.length,
          audio_ms: data.audio_duration_ms
        })
        assert.equal(data.backend_used, "A")
        assert.equal(data.attempts, 1)
        assert.equal(node.requests.length - before, 3)
        assert.equal(node.requests.slice(before).map(({ text }) => text).toSorted().join("|").length, long.length + 2)

        const audio = yield* get(root + data.audio_url, key)
        assert.equal(audio.status, 200)
        assert.equal(audio.headers.get("content-type"), "audio/wav")
        assert.equal(audio.bytes.readUInt32LE(40), audio.bytes.length - 44, "data size")
        // 1.5 s a segment, and 350 ms where a paragraph ends between two of them.
        const pause = Buffer.alloc(ScriptedNode.sampleRate * 2 * 0.35)
        const { spoken } = ScriptedNode
        assert.ok(audio.bytes.subarray(44).equals(Buffer.concat([spoken, spoken, pause, spoken])))
        assert.equal(data.audio_duration_ms, 4850)

        const part = yield* get(root + data.audio_url, key, { range: "bytes=44-143" })
        assert.equal(part.status, 206)
        assert.equal(part.headers.get("content-range"), `bytes 44-143/${audio.bytes.length}`)
        assert.ok(part.bytes.equals(audio.bytes.subarray(44, 144)))
        assert.equal(part.headers.get("etag"), audio.headers.get("etag"))

        const { json: timings } = yield* get(`${url}/speak/jobs/${job_id}/timings`, key)
        assert.deepEqual(timings.chapters, [{ title: "Chapter 1", start_ms: 0 }, {
          title: "Chapter 2",
          start_ms: 3350
        }])
        assert.deepEqual(timings.words.map(({ text }: any) => text), long.split(/\s+/u).filter((word) => word !== ""))
        assert.ok(
          timings.words.every(({ start_ms }: any, i: number) => start_ms >= (timings.words[i - 1]?.start_ms ?? 0))
        )

        const left = yield* until(keysOf(job_id), (keys) => keys.every((key) => !/^\d/u.test(key)))
        assert.deepEqual(left, ["audio.wav", "timings.json"], "segments are gone")
        const usage = yield* rows((sql) => sql`SELECT * FROM usage_records WHERE synthesis_id = ${data.synthesis_id}`)
        assert.equal(usage.length, 1)
        assert.equal(usage[0].characters, long.length)
        assert.equal(usage[0].audio_ms, 4850)
        assert.equal(usage[0].outcome, "completed")
        assert.equal(usage[0].tags, `["books"]`)
        yield* until(rows((sql) => sql`SELECT id FROM job_queue`), (left) => left.length === 0)
        yield* idle
      }))

    it.effect("takes a short text as a job when it is forced to, and lists jobs newest first", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const key = yield* as("lister")
        const urls: Array<string> = []
        for (const text of ["One.", "Two.", "Three."]) {
          const { json, status } = yield* take(key, { text, force_async: true, response_format: "mp3" })
          assert.equal(status, 202)
          urls.push(json.data.status_url)
          yield* ended(json.data.status_url, key)
        }
        const first = yield* get(`${url}/speak/jobs?limit=2&status=completed`, key)
        const idsOf = ({ json }: { json: any }) => json.data.items.map(({ job_id }: any) => job_id)
        const made = urls.map((path) => path.slice(path.lastIndexOf("/") + 1))
        assert.deepEqual(idsOf(first), [made[2], made[1]])
        assert.equal(first.json.data.pagination.has_more, true)
        const second = yield* get(`${url}/speak/jobs?cursor=${first.json.data.pagination.next_cursor}`, key)
        assert.deepEqual(idsOf(second), [made[0]])
        assert.equal(second.json.data.pagination.has_more, false)
        assert.deepEqual(idsOf(yield* get(`${url}/speak/jobs?status=failed`, key)), [])
        assert.equal((yield* get(`${url}/speak/jobs?cursor=x`, key)).status, 422)
      }))

    it.effect("refuses what a call is refused, before anything is queued", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const key = yield* as("refused")
        const viewer = yield* Effect.flatMap(TestServer, ({ key }) => key("acme", "viewer", "tenant_viewer"))
        const refusals = [
          yield* take(key, { voice_id: "vox_nobody" }),
          yield* take(key, { text: " ".repeat(600) }),
          yield* take(key, { response_format: "opus", sample_rate: 44100 }),
          yield* take(viewer),
          yield* take(key, { save_to: { share_id: "s" } })
        ]
        assert.deepEqual(refusals.map(({ json, status }) => [status, json.error.code]), [
          [404, "SCAISPEAK_VOICE_NOT_FOUND"],
          [422, "VALIDATION_ERROR"],
          [422, "VALIDATION_ERROR"],
          [403, "AUTHZ_PERMISSION_DENIED"],
          [403, "SCAISPEAK_SAVE_TO_REQUIRES_JWT"]
        ])
        yield* send(
          "PUT",
          `${url}/admin/policy`,
          { allowed_backends: ["B"], default_backend: "B" },
          yield* as("x", "b")
        )
        const elsewhere = yield* take(yield* as("x", "b"))
        assert.deepEqual([elsewhere.status, elsewhere.json.error.code], [502, "SCAISPEAK_BACKEND_UNAVAILABLE"])
        const { json } = yield* get(`${url}/speak/jobs`, key)
        assert.deepEqual(json.data.items, [])
      }))

    it.effect("gives the same job for the same Idempotency-Key, and one only", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const key = yield* as("twice")
        const once = { "idempotency-key": "the-same" }
        const first = yield* take(key, {}, once)
        const again = yield* take(key, {}, once)
        assert.equal(again.status, 202)
        assert.equal(again.headers.get("idempotent-replayed"), "true")
        assert.equal(again.headers.get("location"), first.headers.get("location"))
        assert.equal(again.json.data.job_id, first.json.data.job_id)
        assert.equal((yield* take(key, { speed: 2 }, once)).status, 409)
        assert.equal((yield* get(`${url}/speak/jobs`, key)).json.data.items.length, 1)
        yield* ended(first.json.data.status_url, key)
      }))

    it.effect("is absent for everybody else, has no audio before its end, and stops everywhere when it is canceled", () =>
      Effect.gen(function*() {
        const { counters } = yield* TestServer
        const key = yield* as("ada")
        const { json: { data: { job_id, status_url } } } = yield* take(key, { voice_id: "vox_scripted_steady" })
        yield* until(jobAt(status_url, key), ({ json }) => json.data.backend_used === "A")
        assert.ok((yield* counters).engine > 0)
        for (const other of [yield* as("bob"), yield* as("ada", "globex")]) {
          for (const path of [status_url, `${status_url}/audio`, `${status_url}/events`, `${status_url}/timings`]) {
            const reply = yield* jobAt(path, other)
            assert.deepEqual([reply.status, reply.json.error.code], [404, "SCAISPEAK_JOB_NOT_FOUND"], path)
          }
          assert.equal((yield* send("DELETE", (yield* TestServer).root + status_url, "", other)).status, 404)
        }
        assert.equal((yield* jobAt(status_url.replace(job_id, "job_1"), key)).status, 404)
        const early = yield* jobAt(`${status_url}/audio`, key)
        assert.deepEqual([early.status, early.json.error.code], [409, "SCAISPEAK_JOB_NOT_FINISHED"])

        for (let i = 0; i < 2; i++) {
          const canceled = yield* send("DELETE", (yield* TestServer).root + status_url, "", key)
          assert.equal(canceled.status, 200)
          assert.equal(canceled.json.data.status, "canceled")
        }
        yield* idle
        yield* until(keysOf(job_id), (keys) => keys.length === 0)
        const usage = yield* rows((sql) =>
          sql`SELECT outcome, characters FROM usage_records
          WHERE synthesis_id = (SELECT synthesis_id FROM synth_jobs WHERE job_id = ${job_id})`
        )
        assert.deepEqual(usage.map((row) => ({ ...row })), [{ outcome: "aborted", characters: 0 }])
      }))

    it.effect("ends as failed, with the reason, when the text cannot be spoken", () =>
      Effect.gen(function*() {
        const key = yield* as("ada")
        const { json } = yield* take(key, { voice_id: "vox_scripted_refuse" })
        const { json: { data } } = yield* ended(json.data.status_url, key)
        assert.equal(data.status, "failed")
        assert.equal(data.error_code, "VALIDATION_ERROR")
        assert.match(data.status_reason, /only English is spoken/u)
        assert.equal(data.attempts, 1)
        assert.equal((yield* jobAt(`${json.data.status_url}/audio`, key)).status, 409)
      }))

    it.effect("tells its states as events, and only new ones to whoever comes again", () =>
      Effect.gen(function*() {
        const key = yield* as("ada")
        const { json: { data: { status_url } } } = yield* take(key)
        const told = yield* jobAt(`${status_url}/events`, key)
        assert.equal(told.headers.get("content-type"), "text/event-stream")
        const events = told.bytes.toString().trim().split("\n\n").filter((event) => !event.startsWith(":")).map((
          event
        ) => Object.fromEntries(event.split("\n").map((line) => line.split(/: (.*)/su).slice(0, 2))))
        const last = events.at(-1)!
        assert.equal(last.event, "end")
        assert.equal(JSON.parse(last.data).status, "completed")
        const ids = events.map(({ id }) => Number(id))
        assert.deepEqual(ids, ids.toSorted((a, b) => a - b))
        assert.equal(new Set(ids).size, ids.length)
        const { root } = yield* TestServer
        const since = (id: string) => get(`${root}${status_url}/events`, key, { "last-event-id": id })
        assert.equal((yield* since(last.id)).bytes.length, 0)
        assert.match((yield* since(String(Number(last.id) - 1))).bytes.toString(), /^id: \d+\nevent: end\n/u)
      }))

    it.effect("goes when it expires: the audio, the text, and every object", () =>
      Effect.gen(function*() {
        const { context } = yield* TestServer
        const key = yield* as("ada")
        const { json: { data: { expires_at, job_id, status_url } } } = yield* take(key)
        yield* ended(status_url, key)
        const { sweep } = Context.get(context, JobExpiry)
        assert.equal(yield* sweep(Date.parse(expires_at) - 60_000), 0)
        assert.ok((yield* sweep(Date.parse(expires_at))) >= 1)
        assert.deepEqual(yield* keysOf(job_id), [])
        const gone = yield* jobAt(`${status_url}/audio`, key)
        assert.deepEqual([gone.status, gone.json.error.code], [410, "SCAISPEAK_JOB_EXPIRED"])
        assert.equal((yield* jobAt(status_url, key)).json.data.status, "completed")
        const [row] = yield* rows((sql) => sql`SELECT request FROM synth_jobs WHERE job_id = ${job_id}`)
        assert.equal(row.request, "")
      }))

    it.effect("is erased with its voice or its user, whatever state it is in", () =>
      Effect.gen(function*() {
        const { context } = yield* TestServer
        const key = yield* as("erased")
        const { json: { data: done } } = yield* take(key)
        yield* ended(done.status_url, key)
        const { json: { data: running } } = yield* take(key, { voice_id: "vox_scripted_steady" })
        yield* until(jobAt(running.status_url, key), ({ json }) => json.data.status === "running")
        const { erase } = Context.get(context, JobExpiry)
        const tenantId = TenantId.make("acme")
        assert.equal(yield* erase({ tenantId, userId: UserId.make("erased") }), 2)
        assert.equal((yield* jobAt(`${done.status_url}/audio`, key)).status, 410)
        assert.equal((yield* jobAt(running.status_url, key)).json.data.status, "canceled")
        yield* idle
        yield* until(keysOf(running.job_id), (keys) => keys.length === 0)
        assert.equal(yield* erase({ tenantId, userId: UserId.make("erased") }), 0)
      }))
  })
}
