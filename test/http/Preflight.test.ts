/** `POST /voices/preflight`: what a good clip is answered, and what a bad or a hostile one costs. */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import assert from "node:assert/strict"
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { gzipSync } from "node:zlib"
import { readSpeakers } from "../engine/fit/clips.ts"
import { until } from "../layers/TestServer.ts"
import { serve } from "../programs/Server.ts"
import { byFfmpeg } from "../services/AudioDecoder/encodings.ts"
import { wavOf } from "../services/ClipNormaliser/wav.ts"
import { fieldPart, filePart, form, type Part, upload } from "./Preflight/upload.ts"

const limitBytes = 32 * 2 ** 20

/** A server of its own process, so that its memory is its own. */
class Server extends Context.Service<Server, {
  readonly url: string
  readonly key: string
  readonly pid: number
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
        SCAISPEAK_UPLOAD_TIMEOUT_MS: "8000"
      })
      return { url: `${url}/voices/preflight`, key, pid: child.pid!, uploads }
    })
  )
}

const { given, unseen } = readSpeakers()[0]!
const spoken = Float64Array.from([...given, ...unseen].slice(0, 10 * 16_000), (value) => value / 32_768)
const clip = wavOf({ coding: "s16", sampleRate: 16_000, channels: [spoken] })

const residentKib = (pid: number) =>
  Effect.promise(async () => Number(/VmRSS:\s+(\d+)/u.exec(await readFile(`/proc/${pid}/status`, "utf8"))![1]))

layer(Server.layer, { excludeTestServices: true, timeout: 60_000 })("POST /voices/preflight", (it) => {
  const send = Effect.fnUntraced(function*(
    parts: Iterable<Part>,
    options: { readonly key?: string; readonly headers?: Record<string, string> } = {}
  ) {
    const { key, url } = yield* Server
    return yield* upload(url, options.key ?? key, form(parts), options.headers)
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

  const zeros = Buffer.alloc(64 * 1024)
  function* repeated(bytes: Uint8Array, times: number) {
    for (let n = 0; n < times; n++) yield bytes
  }
  // MPEG-2.5 layer III, 8 kbit/s, 8 kHz: 72 bytes are 72 ms of silence.
  const silentFrame = Buffer.concat([Buffer.from([0xff, 0xe3, 0x18, 0xc4]), Buffer.alloc(68)])
  const silentMinute = Buffer.alloc(833 * silentFrame.length, silentFrame)
  const claims2Gb = (() => {
    const lying = Buffer.from(clip)
    lying.writeUInt32LE(0x7fffffff, 4)
    lying.writeUInt32LE(0x7fffff00, 40)
    return lying
  })()
  const zipBomb = Buffer.concat([
    Buffer.from("PK\x03\x04\x14\0\0\0\x08\0", "latin1"),
    gzipSync(Buffer.alloc(64 * 2 ** 20))
  ])
  const svg = Buffer.from("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>")
  const drip = async function*() {
    for (;;) {
      yield Buffer.from("x")
      await sleep(50)
    }
  }
  const undecodable = [422, "SCAISPEAK_AUDIO_UNDECODABLE"] as const
  const large = [413, "PAYLOAD_TOO_LARGE"] as const
  const hostile: ReadonlyArray<
    readonly [
      what: string,
      parts: () => Iterable<Part>,
      wanted: readonly [number, string?],
      headers?: Record<string, string>
    ]
  > = [
    ["zip bomb", () => [filePart("reference", [zipBomb])], undecodable],
    ["gzip bomb", () => [filePart("reference", [gzipSync(Buffer.alloc(64 * 2 ** 20))])], undecodable],
    ["svg", () => [filePart("reference", [svg], "clip.mp3", "audio/mpeg")], undecodable],
    [
      "polyglot of wav and zip",
      () => [filePart("reference", [clip, Buffer.from("PK\x05\x06"), Buffer.alloc(18)])],
      undecodable
    ],
    ["polyglot of html and mp3", () => [filePart("reference", [Buffer.from("<html><!--"), silentMinute])], undecodable],
    [
      "random bytes",
      () => [filePart("reference", [Buffer.from(clip.map((value, n) => (value * 7 + n * 13) % 251))])],
      undecodable
    ],
    ["nothing", () => [filePart("reference", [])], undecodable],
    ["wav that claims 2 GB", () => [filePart("reference", [claims2Gb])], [200]],
    ["8 h mp3 of silence", () => [filePart("reference", repeated(silentMinute, 480), "clip.mp3")], [200]],
    ["34 MB of wav", () => [filePart("reference", repeated(zeros, 545))], large],
    ["endless body", () => [filePart("reference", repeated(zeros, 1e9))], large],
    ["body that says 2 GB", () => [filePart("reference", repeated(zeros, 1e9))], large, {
      "content-length": "2147483648"
    }],
    ["endless field", () => [{ ...fieldPart("reference", ""), body: repeated(zeros, 1e9) }], large],
    ["10 000 tiny parts", () => repeatedParts(10_000), [422, "VALIDATION_ERROR"]],
    ["endless part without a name", () => [{ headers: ["x: y"], body: repeated(zeros, 1e9) }], large],
    ["endless part headers", () => [{ headers: [`x: ${"y".repeat(2 ** 20)}`], body: [] }], [422, "VALIDATION_ERROR"]],
    ["slow upload", () => [filePart("reference", drip())], [422, "VALIDATION_ERROR"]]
  ]
  function* repeatedParts(count: number) {
    for (let n = 0; n < count; n++) yield fieldPart(`f${n}`, "x")
  }

  it.effect("bears hostile uploads, each with its code and in bounded memory", () =>
    Effect.gen(function*() {
      const { pid } = yield* Server
      // The decoder and the measure are warm.
      yield* send([filePart("reference", [clip])])
      const rows: Array<string> = []
      for (const [what, parts, [status, code], headers = {}] of hostile) {
        const before = yield* residentKib(pid)
        let peak = before
        const watch = Effect.forever(Effect.delay(
          Effect.map(residentKib(pid), (now) => {
            peak = Math.max(peak, now)
          }),
          10
        ))
        const begin = performance.now()
        const reply = yield* Effect.raceFirst(send(parts(), { headers }), watch)
        const growth = Math.round((peak - before) / 1024)
        rows.push(
          `${what.padEnd(26)} ${reply.status} ${
            (reply.json?.error?.code ?? reply.json?.data?.fail_reasons.join() ?? "").padEnd(60)
          }`
            + ` ${String(Math.round(performance.now() - begin)).padStart(6)} ms, sent ${
              String(Math.round(reply.sent / 1024)).padStart(7)
            } KiB, RSS +${growth} MiB`
        )
        console.log(rows.at(-1))
        assert.deepEqual([reply.status, reply.json?.error?.code], [status, code], what)
        if (what === "34 MB of wav") assert.equal(reply.json.error.details[0].field, "reference")
        if (status === 413) assert.ok(reply.sent < 2 * limitBytes, `${what}: ${reply.sent} bytes were taken`)
        assert.ok(growth < 200, `${what}: ${growth} MiB`)
        yield* noneLeft
      }
      const after = yield* send([filePart("reference", [clip])])
      assert.equal(after.json.data.passed, true)
    }), 120_000)

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
