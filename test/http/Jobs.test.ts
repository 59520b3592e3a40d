/** Long texts as jobs, over real HTTP and real gRPC: taken, followed, heard, canceled; on both pairs of stores. */
import { layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { folderOf } from "../../src/domain/Job.ts"
import { JobExpiry } from "../../src/services/JobExpiry.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import * as ScriptedNode from "../layers/ScriptedNode.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import { Stream } from "effect"

const sentence = "The birch canoe slid on the smooth planks. "
/** Three segments: 43 code points a sentence, 800 at most a segment. */
const long = `Chapter 1\n\n${sentence.repeat(25)}\n\nChapter 2\n\n${sentence.repeat(10)}`

const as = (user: string, tenant = "acme") =>
  Effect.flatMap(TestServer, ({ key }) => key(tenant, user, "tenant_admin"))

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
        assert.deepEqual(timings.chapters, [{ title: "Chapter 1", start_ms: 0 }, { title: "Chapter 2", start_ms: 3350 }])
        assert.deepEqual(timings.words.map(({ text }: any) => text), long.split(/\s+/u).filter((word) => word !== ""))
        assert.ok(timings.words.every(({ start_ms }: any, i: number) =>
          start_ms >= (timings.words[i - 1]?.start_ms ?? 0)))

        assert.deepEqual(yield* keysOf(job_id), ["audio.wav", "timings.json"], "segments are gone")
        const usage = yield* rows((sql) => sql`SELECT * FROM usage_records WHERE synthesis_id = ${data.synthesis_id}`)
        assert.equal(usage.length, 1)
        assert.equal(usage[0].characters, long.length)
        assert.equal(usage[0].audio_ms, 4500)
        assert.equal(usage[0].outcome, "completed")
        assert.equal(usage[0].tags, `["books"]`)
        yield* until(rows((sql) => sql`SELECT id FROM job_queue`), (left) => left.length === 0)
        yield* idle
      }))
  })
}
