/** `WS /voices/record` as clients see it: recorded, measured, kept once, and gone without a trace when the socket drops. */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { layer } from "@effect/vitest"
import { Encoder } from "@evan/opus"
import { Context, Effect, Layer, Stream } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { readdir } from "node:fs/promises"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { PendingBlobs } from "../../src/services/PendingBlobs.ts"
import { Recordings } from "../../src/services/Recordings.ts"
import { makeResampler } from "../../src/services/Resampler.ts"
import * as Recorder from "../../src/stream/Recorder.ts"
import { LiveSocket } from "../../src/stream/websocket/LiveSocket.ts"
import { serverOptions } from "../../src/stream/websocket/Upgrade.ts"
import { clone, design, spoken, submit } from "../http/Cloning/forms.ts"
import { stores } from "../layers/stores.ts"
import { TestServer, until } from "../layers/TestServer.ts"

interface Client {
  readonly socket: NodeWS.WebSocket
  readonly frames: Array<any>
  readonly closed: Promise<number>
  readonly next: (type: string) => Promise<any>
}

const connect = (url: string, protocols: ReadonlyArray<string>, headers: Record<string, string>): Promise<Client> =>
  new Promise((resolve, reject) => {
    const socket = new NodeWS.WebSocket(url.replace(/^http/u, "ws"), [...protocols], { headers })
    const frames: Array<any> = []
    socket.on("message", (data) => frames.push(JSON.parse(String(data))))
    const closed = new Promise<number>((done) => socket.on("close", done))
    socket.on("error", reject)
    socket.on("unexpected-response", (_, response) => {
      let text = ""
      response.on("data", (chunk) => text += chunk)
      response.on("end", () => reject(Object.assign(new Error(text), { status: response.statusCode })))
    })
    const next = async (type: string) => {
      for (let n = 0; n < 2000; n++) {
        const frame = frames.find((frame) => frame.type === type) ?? frames.find((frame) => frame.type === "error")
        if (frame !== undefined) return frame
        await new Promise((again) => setTimeout(again, 5))
      }
      throw new Error(`no ${type} came, but ${JSON.stringify(frames)}`)
    }
    socket.on("open", () => resolve({ socket, frames, closed, next }))
  })

const record = (token: string) =>
  Effect.flatMap(
    TestServer,
    ({ url }) => Effect.promise(() => connect(`${url}/voices/record`, [], { authorization: `Bearer ${token}` }))
  )

const open = (fields: Record<string, unknown> = {}) =>
  JSON.stringify({ type: "open", part: "reference", sample_rate: 16_000, codec: "pcm", ...fields })
const stop = JSON.stringify({ type: "stop" })

const pcm = Int16Array.from(spoken, (value) => Math.round(value * 32_767))
const bytes = Buffer.from(pcm.buffer)
/** Frames of 100 ms. */
const frames = (seconds: number) =>
  Array.from({ length: seconds * 10 }, (_, n) => bytes.subarray(n * 3200, (n + 1) * 3200))

const sendAll = (client: Client, all: ReadonlyArray<Uint8Array>) => {
  for (const frame of all) client.socket.send(frame)
}

const writer = Effect.flatMap(TestServer, ({ key }) => key("acme", "ada", "tenant_user", ["scaispeak:voice.write"]))

/** Everything that a recording may leave. */
const left = (folder: string) =>
  Effect.gen(function*() {
    const { context } = yield* TestServer
    const sql = Context.get(context, SqlClient.SqlClient)
    const count = (table: string) =>
      Effect.map(Effect.orDie(sql<{ n: number }>`SELECT COUNT(*) AS n FROM ${sql(table)}`), ([row]) => Number(row!.n))
    const objects = yield* Effect.orDie(
      Stream.runCollect(Context.get(context, ObjectStore).list("scaispeak/recordings/"))
    )
    return {
      recordings: yield* count("recordings"),
      objects: objects.length,
      files: (yield* Effect.promise(() => readdir(join(folder, "uploads")))).length
    }
  })

for (const [name, env] of stores) {
  const folder = mkdtempSync(join(tmpdir(), "scaispeak-recorder-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const settings = Effect.map(env, (env) => ({ ...env, SCAISPEAK_DATA_DIR: folder }))
  const nothing = { recordings: 0, objects: 0, files: 0 }
  /** Also of what was doomed for later. */
  const clean = Effect.gen(function*() {
    const { context } = yield* TestServer
    yield* Effect.orDie(Context.get(context, PendingBlobs).sweep(Date.now() + 1))
    return yield* left(folder)
  })

  layer(TestServer.layer(settings), { excludeTestServices: true })(`recording live on ${name}`, (it) => {
    it.effect("a voice is made of a recorded reference and consent, once, by their user alone", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const ada = yield* writer
        const reference = yield* record(ada)
        reference.socket.send(open())
        assert.deepEqual(
          yield* Effect.promise(() => reference.next("ready")),
          { type: "ready", limits: { duration_ms: 30_000, frame_bytes: 65_536, idle_ms: 10_000 } }
        )
        sendAll(reference, frames(8))
        reference.socket.send(stop)
        const recorded = yield* Effect.promise(() => reference.next("recorded"))
        assert.equal(recorded.preflight?.passed, true, JSON.stringify(recorded))
        assert.equal(recorded.preflight.metrics.duration_ms, 8000)
        assert.equal(yield* Effect.promise(() => reference.closed), 1000)
        const levels = reference.frames.filter(({ type }) => type === "level")
        assert.deepEqual(
          levels.map(({ elapsed_ms }) => elapsed_ms),
          Array.from({ length: 80 }, (_, n) => (n + 1) * 100)
        )
        assert.ok(levels.filter(({ voice_activity }) => voice_activity).length > 40, "somebody speaks")
        assert.ok(levels.every(({ dbfs }) => dbfs >= -120 && dbfs < 0))

        const consent = yield* record(ada)
        consent.socket.send(open({ part: "consent" }))
        sendAll(consent, frames(3))
        consent.socket.send(stop)
        const agreed = yield* Effect.promise(() => consent.next("recorded"))
        assert.deepEqual(yield* left(folder), { recordings: 2, objects: 2, files: 0 })

        const form = {
          ...clone,
          reference: undefined,
          consent: undefined,
          reference_recording_id: recorded.recording_id,
          consent_recording_id: agreed.recording_id
        }
        const bob = yield* key("acme", "bob", "tenant_user", ["scaispeak:voice.write"])
        const stolen = yield* submit(`${url}/voices`, form, bob)
        assert.deepEqual(stolen.json.error.details, [
          { field: "reference_recording_id", message: "is no reference of yours that is still waiting" }
        ])
        const swapped = { ...form, reference_recording_id: agreed.recording_id }
        assert.equal((yield* submit(`${url}/voices`, swapped, ada)).status, 422, "a consent is no reference")
        const failing = { ...form, consent_recording_id: "rec_none" }
        assert.equal((yield* submit(`${url}/voices`, failing, ada)).status, 422)
        const made = yield* submit(`${url}/voices`, form, ada, {
          "idempotency-key": `live-${name.replaceAll(" ", "-")}`
        })
        assert.equal(made.status, 201, JSON.stringify(made.json))
        assert.equal(made.json.data.reference.duration_ms, 8000)
        const replayed = yield* submit(`${url}/voices`, form, ada, {
          "idempotency-key": `live-${name.replaceAll(" ", "-")}`
        })
        assert.deepEqual(replayed.json.data, made.json.data)
        assert.equal((yield* submit(`${url}/voices`, form, ada)).status, 422, "it is used up")
        const designed = yield* submit(`${url}/voices`, { ...design, reference_recording_id: "rec_none" }, ada)
        assert.equal(designed.status, 422)
        yield* until(left(folder), (found) => JSON.stringify(found) === JSON.stringify(nothing))
      }))

    it.effect("Opus packets are decoded as they come", () =>
      Effect.gen(function*() {
        const client = yield* record(yield* writer)
        const up = makeResampler(16_000, 48_000)
        const wide = Int16Array.from([...up.push(pcm), ...up.end()], (value) =>
          Math.max(-32_768, Math.min(32_767, value)))
        const encoder = new Encoder({ channels: 1, sample_rate: 48_000, application: "voip" } as never)
        client.socket.send(open({ codec: "opus", sample_rate: 48_000 }))
        for (let at = 0; at + 960 <= 6 * 48_000; at += 960) {
          client.socket.send(encoder.encode(Uint8Array.from(new Uint8Array(wide.buffer, at * 2, 1920))))
        }
        client.socket.send(stop)
        const recorded = yield* Effect.promise(() =>
          client.next("recorded")
        )
        assert.equal(recorded.preflight?.passed, true, JSON.stringify(recorded))
        assert.equal(recorded.preflight.metrics.duration_ms, 6000)
        assert.equal(recorded.preflight.metrics.sample_rate, 48_000)
        const { context } = yield* TestServer
        yield* Effect.orDie(Context.get(context, Recordings).sweep(Date.now() + 600_000))
        assert.deepEqual(yield* clean, nothing, "what ran out is swept")
      }))

    it.effect("what does not pass is not kept", () =>
      Effect.gen(function*() {
        const client = yield* record(yield* writer)
        client.socket.send(open())
        sendAll(client, frames(1))
        client.socket.send(stop)
        const { preflight, recording_id } = yield* Effect.promise(() => client.next("recorded"))
        assert.equal(recording_id, null)
        assert.ok(preflight.fail_reasons.includes("duration_below_minimum"))
        yield* Effect.promise(() => client.closed)
        assert.deepEqual(yield* clean, nothing)
      }))

    it.effect("a socket that drops leaves nothing, whenever it drops", () =>
      Effect.gen(function*() {
        const ada = yield* writer
        const leave: ReadonlyArray<(client: Client) => unknown> = [
          () => {},
          (client) => client.socket.send(open()),
          (client) => {
            client.socket.send(open())
            sendAll(client, frames(4))
          },
          (client) => {
            client.socket.send(open())
            sendAll(client, frames(8))
            client.socket.send(stop)
          }
        ]
        for (const until of leave) {
          for (
            const drop of [(client: Client) => client.socket.terminate(), (client: Client) => client.socket.close()]
          ) {
            const client = yield* record(ada)
            until(client)
            yield* Effect.sleep(60)
            drop(client)
            yield* Effect.promise(() => client.closed)
          }
        }
        yield* until(clean, (found) => JSON.stringify(found) === JSON.stringify(nothing))
      }))
  })
}

layer(TestServer.layer(), { excludeTestServices: true })("refusals of live recording", (it) => {
  it.effect("the token comes in one of three ways, and a bad one is refused in plain HTTP", () =>
    Effect.gen(function*() {
      const { key, root, url } = yield* TestServer
      const ada = yield* writer
      const vic = yield* key("acme", "vic", "tenant_viewer")
      const at = `${url}/voices/record`
      const good: ReadonlyArray<readonly [string, ReadonlyArray<string>, Record<string, string>, string]> = [
        [at, [], { authorization: `Bearer ${ada}` }, ""],
        [`${at}?token=${ada}`, [], {}, ""],
        [at, ["scaispeak.v1", `scaispeak.bearer.${ada}`], {}, "scaispeak.v1"],
        [at, [`scaispeak.bearer.${ada}`], {}, `scaispeak.bearer.${ada}`],
        [at, ["scaispeak.v1"], { authorization: `Bearer ${ada}` }, "scaispeak.v1"]
      ]
      for (const [address, protocols, headers, echoed] of good) {
        const client = yield* Effect.promise(() => connect(address, protocols, headers))
        assert.equal(client.socket.protocol, echoed)
        assert.equal(client.socket.extensions, "", "nothing is unfolded")
        client.socket.close()
      }
      const bad: ReadonlyArray<readonly [string, Record<string, string>, number, string]> = [
        [at, {}, 401, "AUTH_TOKEN_MISSING"],
        [`${at}?token=sgk_${"x".repeat(40)}`, {}, 401, "AUTH_TOKEN_INVALID"],
        [at, { authorization: "Bearer nonsense" }, 401, "AUTH_TOKEN_INVALID"],
        [at, { authorization: `Basic ${btoa(ada)}` }, 401, "AUTH_TOKEN_MISSING"],
        [at, { authorization: `Bearer ${vic}` }, 403, "AUTHZ_PERMISSION_DENIED"],
        [`${root}/v1/modules/scaispeak/nowhere/record`, { authorization: `Bearer ${ada}` }, 404, "NOT_FOUND"]
      ]
      for (const [address, headers, status, code] of bad) {
        const error: any = yield* Effect.promise(() =>
          connect(address, [], headers).then(() => undefined, (error) => error)
        )
        assert.equal(error?.status, status, String(error))
        const { error: told, meta } = JSON.parse(error.message)
        assert.equal(told.code, code)
        assert.match(meta.request_id, /^req_/u)
      }
      const plain = yield* Effect.promise(() => fetch(at, { headers: { authorization: `Bearer ${ada}` } }))
      assert.equal(plain.status, 422)
    }))

  it.effect("frames that are none end the recording with their code", () =>
    Effect.gen(function*() {
      const ada = yield* writer
      const cases: ReadonlyArray<readonly [ReadonlyArray<string | Uint8Array>, number, string | undefined]> = [
        [["{"], 4400, "VALIDATION_ERROR"],
        [[stop], 4400, "VALIDATION_ERROR"],
        [[Buffer.alloc(10)], 4400, "VALIDATION_ERROR"],
        [[open({ part: "other" })], 4400, "VALIDATION_ERROR"],
        [[open({ sample_rate: 12_345 })], 4400, "VALIDATION_ERROR"],
        [[open({ unknown: 1 })], 4400, "VALIDATION_ERROR"],
        [[open(), open()], 4400, "VALIDATION_ERROR"],
        [[open(), Buffer.alloc(3)], 4400, "VALIDATION_ERROR"],
        [[open(), stop], 4400, "SCAISPEAK_AUDIO_UNDECODABLE"],
        [[open({ codec: "opus" }), Buffer.alloc(40, 0xff)], 4400, "SCAISPEAK_AUDIO_UNDECODABLE"],
        [[open({ codec: "opus" }), Buffer.alloc(0)], 4400, "SCAISPEAK_AUDIO_UNDECODABLE"],
        [
          [open({ sample_rate: 8000 }), ...Array.from({ length: 8 }, () => Buffer.alloc(64_000))],
          1009,
          "PAYLOAD_TOO_LARGE"
        ],
        [[open(), Buffer.alloc(65_537)], 1009, undefined]
      ]
      for (const [given, closeCode, code] of cases) {
        const client = yield* record(ada)
        for (const frame of given) client.socket.send(frame)
        assert.equal(yield* Effect.promise(() => client.closed), closeCode, JSON.stringify(client.frames.slice(-1)))
        assert.equal(client.frames.find(({ type }) => type === "error")?.code, code, String(given[0]))
      }
    }))

  it.effect("32 record at once, and no more", () =>
    Effect.gen(function*() {
      const ada = yield* writer
      const clients = yield* Effect.forEach(Array.from({ length: 32 }), () => record(ada))
      for (const client of clients) client.socket.send(open())
      for (const client of clients) assert.equal((yield* Effect.promise(() => client.next("ready"))).type, "ready")
      const late = yield* record(ada)
      assert.equal(yield* Effect.promise(() => late.closed), 4429)
      assert.equal(late.frames[0].code, "CONCURRENCY_LIMITED")
      for (const { socket } of clients) socket.terminate()
      yield* until(
        Effect.gen(function*() {
          const next = yield* record(ada)
          next.socket.send(open())
          const { type } = yield* Effect.promise(() => next.next("ready"))
          next.socket.terminate()
          return type
        }),
        (type) => type === "ready"
      )
    }))
})

/** A peer that takes what it is told until the first level, and then nothing more. */
class Unread extends LiveSocket {
  #isStuck = false
  override write(frames: ReadonlyArray<string | Uint8Array>, written: () => void): void {
    this.#isStuck ||= frames.some((frame) => typeof frame === "string" && frame.includes("\"level\""))
    if (!this.#isStuck) super.write(frames, written)
  }
}

layer(TestServer.layer(), { excludeTestServices: true })(
  "a client of the recorder that stalls is let go with 4408",
  (it) => {
    /** The recorder of a running service, on a port of its own and with less patience. */
    const impatient = Effect.fnUntraced(function*(
      limits: { readonly idleMsMax?: number; readonly writeMsMax?: number },
      WebSocket: typeof LiveSocket = LiveSocket
    ) {
      const { context } = yield* TestServer
      const recorder = HttpRouter.serve(Recorder.layer({ path: "/voices/record", referenceMsMax: 25_000, ...limits }), {
        disableListenLog: true
      }).pipe(
        Layer.provideMerge(NodeHttpServer.layer(createServer, {
          host: "127.0.0.1",
          port: 0,
          websocket: { ...serverOptions, WebSocket: WebSocket as never }
        })),
        Layer.provide(Layer.succeedContext(context))
      )
      const { address } = Context.get(yield* Layer.build(recorder), HttpServer.HttpServer)
      assert.ok("port" in address)
      const headers = { authorization: `Bearer ${yield* writer}` }
      return yield* Effect.promise(() => connect(`http://127.0.0.1:${address.port}/voices/record`, [], headers))
    })
    /** With whatever was said before. */
    const closed = (client: Client) =>
      Effect.map(
        Effect.promise(() => client.closed),
        (code) => [code, ...client.frames.map(({ code, type }) => code ?? type)]
      )

    it.effect("when it sends no frame at all", () =>
      Effect.gen(function*() {
        const client = yield* impatient({ idleMsMax: 100 })
        assert.deepEqual(yield* closed(client), [4408, "SCAISPEAK_SESSION_TIMEOUT"])
      }))

    it.effect("when it opens, or has begun to speak, and then sends nothing", () =>
      Effect.gen(function*() {
        for (const sound of [[], frames(1)]) {
          const client = yield* impatient({ idleMsMax: 300 })
          client.socket.send(open())
          sendAll(client, sound)
          assert.deepEqual(yield* closed(client), [
            4408,
            "ready",
            ...Array(sound.length).fill("level"),
            "SCAISPEAK_SESSION_TIMEOUT"
          ])
          assert.equal(client.frames[0].limits.idle_ms, 300)
          assert.equal(client.frames.at(-1).retryable, true)
        }
      }))

    it.effect("when it does not take what it is told", () =>
      Effect.gen(function*() {
        const client = yield* impatient({ writeMsMax: 100 }, Unread)
        client.socket.send(open())
        sendAll(client, frames(1))
        assert.deepEqual(yield* closed(client), [4408, "ready"])
      }))
  }
)
