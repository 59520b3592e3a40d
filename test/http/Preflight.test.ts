/**
 * `POST /voices/preflight`: what a good clip is answered, and what a bad or a hostile one costs; the hostile ones at
 * `POST /voices`, too.
 */
import { layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import assert from "node:assert/strict"
import { existsSync, readdirSync } from "node:fs"
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as sleep } from "node:timers/promises"
import { until } from "../layers/TestServer.ts"
import { serve } from "../programs/Server.ts"
import { byFfmpeg } from "../services/AudioDecoder/encodings.ts"
import { wavOf } from "../services/ClipNormaliser/wav.ts"
import { clip, clone } from "./Cloning/forms.ts"
import { hostile } from "./Preflight/hostile.ts"
import { fieldPart, filePart, form, type Part, upload } from "./Preflight/upload.ts"

const limitBytes = 32 * 2 ** 20

/** A server of its own process, so that its memory is its own. */
class Server extends Context.Service<Server, {
  readonly url: string
  readonly key: string
  readonly pid: number
  readonly folder: string
  /** Where uploads lie while they are read. */
  readonly uploads: string
}>()("test/Server") {
  static readonly layer = Layer.effect(
    Server,
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-test-"))),
        (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
      )
      const uploads = join(folder, "uploads")
      const left = join(folder, "uploads", "left")
      yield* Effect.promise(async () => {
        await mkdir(uploads)
        await writeFile(left, "of a process that was killed")
        await utimes(left, 0, 0)
      })
      const { child, key, url } = yield* serve({
        SCAISPEAK_PORT: "0",
        SCAISPEAK_GRPC_PORT: "0",
        SCAISPEAK_DATA_DIR: folder,
        SCAISPEAK_UPLOAD_TIMEOUT_MS: "5000"
      })
      return { url: `${url}/voices/preflight`, key, pid: child.pid!, folder, uploads }
    })
  )
}

const residentKib = (pid: number) =>
  Effect.promise(async () => Number(/VmRSS:\s+(\d+)/u.exec(await readFile(`/proc/${pid}/status`, "utf8"))![1]))

layer(Server.layer, { excludeTestServices: true, timeout: 60_000 })("POST /voices/preflight", (it) => {
  const send = Effect.fnUntraced(function*(
    parts: Iterable<Part>,
    options: { readonly key?: string; readonly headers?: Record<string, string>; readonly url?: string } = {}
  ) {
    const { key, url } = yield* Server
    return yield* upload(options.url ?? url, options.key ?? key, form(parts), options.headers)
  })
  const noneLeft = Effect.flatMap(
    Server,
    ({ uploads }) => until(Effect.promise(() => readdir(uploads)), (names) => names.length === 0)
  )

  it.effect("measures a clip in every format, tells it by content, and keeps nothing", () =>
    Effect.gen(function*() {
      const files = {
        wav: clip,
        mp3: byFfmpeg(clip, "-c:a libmp3lame -f mp3"),
        flac: byFfmpeg(clip, "-c:a flac -f flac"),
        opus: byFfmpeg(clip, "-c:a libopus -f ogg"),
        vorbis: byFfmpeg(clip, "-c:a libvorbis -f ogg"),
        webm: byFfmpeg(clip, "-c:a libopus -f webm"),
        m4a: byFfmpeg(clip, "-c:a aac -f ipod -movflags frag_keyframe+empty_moov"),
        aac: byFfmpeg(clip, "-c:a aac -f adts")
      }
      for (const [name, file] of Object.entries(files)) {
        const { json, status } = yield* send([filePart("reference", [file], "../../etc/passwd.pdf", "application/pdf")])
        assert.equal(status, 200, `${name}: ${JSON.stringify(json)}`)
        assert.equal(json.status, "ok")
        const { fail_reasons, metrics, passed } = json.data
        assert.deepEqual([passed, fail_reasons], [true, []], `${name}: ${JSON.stringify(metrics)}`)
        assert.ok(Math.abs(metrics.duration_ms - 10_000) < 150, `${name}: ${metrics.duration_ms} ms`)
        assert.ok(metrics.voice_activity_ratio > 0.6 && metrics.snr_db > 15, name)
      }
      yield* noneLeft
    }), 60_000)

  it.effect("answers 200 for a clip that fails, with every reason", () =>
    Effect.gen(function*() {
      const silence = wavOf({ coding: "s16", sampleRate: 16_000, channels: [new Float64Array(16_000)] })
      const { json, status } = yield* send([filePart("reference", [silence])])
      assert.equal(status, 200)
      assert.equal(json.data.passed, false)
      assert.deepEqual(json.data.fail_reasons, [
        "duration_below_minimum",
        "low_voice_activity_ratio",
        "snr_below_threshold"
      ])
    }))

  it.effect("refuses a form that does not fit, naming the field", () =>
    Effect.gen(function*() {
      const good = filePart("reference", [clip])
      const cases: ReadonlyArray<readonly [ReadonlyArray<Part>, string, RegExp]> = [
        [[], "reference", /is missing/u],
        [[fieldPart("reference", "hello")], "reference", /must be a file/u],
        [[filePart("voice", [clip])], "voice", /no such field/u],
        [[good, fieldPart("extra", "1")], "extra", /no such field/u],
        [[good, good], "reference", /is there twice/u],
        [[{ headers: ["content-disposition: nonsense"], body: [] }], "body", /no such field|no multipart/u]
      ]
      for (const [parts, field, message] of cases) {
        const { json, status } = yield* send(parts)
        assert.deepEqual([status, json?.error.code], [422, "VALIDATION_ERROR"], field)
        assert.equal(json.error.details[0].field, field)
        assert.match(json.error.details[0].message, message)
      }
      const json = yield* send([], { headers: { "content-type": "application/json" } })
      assert.deepEqual([json.status, json.json.error.code], [415, "UNSUPPORTED_MEDIA_TYPE"])
      const boundless = yield* send([good], { headers: { "content-type": "multipart/form-data" } })
      assert.deepEqual([boundless.status, boundless.json.error.code], [422, "VALIDATION_ERROR"])
      const stranger = yield* send([good], { key: "" })
      assert.deepEqual([stranger.status, stranger.json.error.code], [401, "AUTH_TOKEN_MISSING"])
      yield* noneLeft
    }), 30_000)

  it.effect("removes what a client who hangs up has sent, and what a killed process left", () =>
    Effect.gen(function*() {
      const { uploads } = yield* Server
      const slow = async function*() {
        yield clip
        await sleep(60_000)
      }
      const hangsUp = send([filePart("reference", slow())]).pipe(Effect.timeoutOption("1 second"))
      const during = Effect.delay(Effect.promise(() => readdir(uploads)), "700 millis")
      const [, names] = yield* Effect.all([hangsUp, during], { concurrency: 2 })
      assert.equal(names.length, 1)
      yield* noneLeft
    }))

  it.effect("takes so many uploads at once and no more, until their files are gone", () =>
    Effect.gen(function*() {
      const { uploads } = yield* Server
      const uploadsMax = 32
      const endless = async function*() {
        yield clip
        await sleep(60_000)
      }
      const hanging = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: uploadsMax }), () => send([filePart("reference", endless())]), {
          concurrency: "unbounded"
        })
      )
      yield* until(Effect.promise(() => readdir(uploads)), (names) => names.length === uploadsMax)
      const { json, status } = yield* send([filePart("reference", [clip])])
      assert.deepEqual([status, json.error.code, json.error.retry_after], [429, "CONCURRENCY_LIMITED", 1])
      yield* Fiber.interrupt(hanging)
      yield* noneLeft
      assert.equal((yield* send([filePart("reference", [clip])])).status, 200)
    }), 30_000)

  /** The clone form with this as its reference; the refusal must leave nothing of the rest. */
  const inForm = (parts: Iterable<Part>): Iterable<Part> => [
    ...Object.entries(clone).flatMap(([name, value]) =>
      name === "reference"
        ? []
        : [typeof value === "string" ? fieldPart(name, value) : filePart(name, [value as Uint8Array])]
    ),
    ...parts
  ]
  /** What of voices that were made there is: rows, blobs, and intakes under way. */
  const kept = Effect.map(Server, ({ folder }) => {
    const sql = new DatabaseSync(join(folder, "scaispeak.sqlite"), { readOnly: true })
    const count = (table: string) => Number(sql.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get()!["n"])
    const rows = ["consents", "consent_details", "pending_blobs"].map(count)
    const voices = Number(sql.prepare("SELECT COUNT(*) AS n FROM voices WHERE scope = 'user'").get()!["n"])
    sql.close()
    const blobs = join(folder, "objects", "scaispeak", "voices")
    return { voices, rows, blobs: existsSync(blobs) ? readdirSync(blobs, { recursive: true }).length : 0 }
  })

  for (const surface of ["preflight", "intake"] as const) {
    it.effect(
      `bears hostile uploads to ${surface}, each with its code and in bounded memory, and keeps nothing`,
      () =>
        Effect.gen(function*() {
          const { pid, url } = yield* Server
          const submit = (parts: Iterable<Part>, headers: Record<string, string> = {}) =>
            surface === "preflight"
              ? send(parts, { headers })
              : send(inForm(parts), { headers, url: url.replace("/preflight", "") })
          // The decoder and the measure are warm.
          yield* submit([filePart("reference", [clip])])
          for (const { headers = {}, parts, what, ...wanted } of hostile) {
            const [status, code] = wanted[surface] ?? wanted.preflight
            const before = { memory: yield* residentKib(pid), kept: yield* kept }
            let peak = before.memory
            const watch = Effect.forever(Effect.delay(
              Effect.map(residentKib(pid), (now) => {
                peak = Math.max(peak, now)
              }),
              10
            ))
            const begin = performance.now()
            const reply = yield* Effect.raceFirst(submit(parts(), headers), watch)
            const growth = Math.round((peak - before.memory) / 1024)
            const answer = reply.json?.error?.code ?? reply.json?.data?.fail_reasons?.join() ?? ""
            const [millis, kib] = [performance.now() - begin, reply.sent / 1024].map((value) => Math.round(value))
            console.log(
              `${what.padEnd(28)} ${reply.status} ${answer.padEnd(34)} ${String(millis).padStart(6)} ms, `
                + `sent ${String(kib).padStart(6)} KiB, RSS +${growth} MiB`
            )
            assert.deepEqual([reply.status, reply.json?.error?.code], [status, code], what)
            if (what === "34 MB of wav") assert.equal(reply.json.error.details[0].field, "reference")
            if (code === "SCAISPEAK_AUDIO_UNDECODABLE") assert.equal(reply.json.error.details[0].field, "reference")
            if (status === 413) assert.ok(reply.sent < 4 * limitBytes, `${what}: ${reply.sent} bytes were taken`)
            assert.ok(growth < 200, `${what}: ${growth} MiB`)
            if (status !== 201) assert.deepEqual(yield* kept, before.kept, what)
            yield* noneLeft
          }
          const after = yield* submit([filePart("reference", [clip])])
          assert.ok(after.status < 300)
        }),
      120_000
    )
  }

  // The key of the greeting holds until there is another.
  it.effect("asks for the permission to write voices", () =>
    Effect.gen(function*() {
      const good = filePart("reference", [clip])
      const { key, url } = yield* Server
      const viewer = yield* Effect.promise(async () => {
        const made = await fetch(url.replace("/voices/preflight", "/admin/api-keys"), {
          method: "POST",
          headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
          body: JSON.stringify({ name: "viewer", permissions: ["scaispeak:voice.read"] })
        })
        return ((await made.json()) as any).data.key as string
      })
      const forbidden = yield* send([good], { key: viewer })
      assert.deepEqual([forbidden.status, forbidden.json.error.code], [403, "AUTHZ_PERMISSION_DENIED"])
      assert.equal(forbidden.json.error.details[0].message, "scaispeak:voice.write")
    }))
})
