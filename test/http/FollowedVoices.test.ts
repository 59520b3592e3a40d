/**
 * Voices that follow a clip or a prompt, through the whole service: the clip lies in the object store, the node is a real
 * one, and what comes back is held against what the node says when it is asked directly.
 */
import { layer } from "@effect/vitest"
import { Context, DateTime, Effect, Layer, Logger } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { VoiceId } from "../../src/domain/Ids.ts"
import type { Voice } from "../../src/domain/Voice.ts"
import { NodeProgram } from "../../src/engine/NodeProgram.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { ReferenceCache } from "../../src/services/ReferenceCache.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { connect, finish, samplesOf, start } from "../engine/NodeClient.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import { voice } from "../layers/voices.ts"
import { wavOf } from "../services/ClipNormaliser/wav.ts"

const Node = NodeProgram.layer({
  host: "127.0.0.1",
  port: 0,
  nodeId: "fitting",
  workers: 1,
  capacity: 8,
  queue: 8,
  drainMillis: 1000
}).pipe(Layer.provide(Logger.layer([])))

const service = (env: Effect.Effect<Record<string, string>>) =>
  Layer.unwrap(
    Effect.map(NodeProgram, ({ address }) =>
      TestServer.layer(Effect.map(env, (settings) => ({ ...settings, SCAISPEAK_NODES: address }))))
  ).pipe(
    Layer.provideMerge(Node)
  )

/** What a voice of the node says, as samples: eight seconds of it are a clip to follow. */
const said = Effect.fnUntraced(function*(name: string, text: string) {
  const client = yield* connect((yield* NodeProgram).address)
  return samplesOf(yield* Effect.promise(() => finish(start(client, { text, voice: name }))))
})

const clipText = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. " +
  "It is easy to tell the depth of a well. These days a chicken leg is a rare dish."

/** Puts a voice into the library the way an intake leaves it. */
const insert = Effect.fnUntraced(function*(fields: Partial<Voice>) {
  const { context } = yield* TestServer
  const sql = Context.get(context, SqlClient.SqlClient)
  const made = voice({ createdAt: DateTime.nowUnsafe(), updatedAt: DateTime.nowUnsafe(), ...fields })
  yield* Effect.orDie(sql`INSERT INTO voices ${sql.insert(encode(made))}`)
  return made.voiceId
})

const speak = Effect.fnUntraced(function*(voice_id: string, body: Record<string, unknown> = {}) {
  const { key, url } = yield* TestServer
  const token = yield* key("acme", "ada", "tenant_admin")
  const reply = yield* send("POST", `${url}/speak`, {
    text: "A voice of my own.",
    voice_id,
    response_format: "pcm",
    ...body
  }, token)
  return { reply, token }
})

for (const [name, env] of stores) {
  layer(service(env), { excludeTestServices: true })(`voices that follow, on ${name}`, (it) => {
    it.effect("follow a recording: fetched once, sent once, fitted each time alike", () =>
      Effect.gen(function*() {
        const { context, url } = yield* TestServer
        const samples = yield* said("slt", clipText)
        const signal = Float64Array.from(samples, (sample) => sample / 32768)
        const file = wavOf({ coding: "s16", sampleRate: 16000, channels: [signal] })
        const sha256 = createHash("sha256").update(file).digest("hex")
        const objectKey = "scaispeak/voices/vox_mine/reference.wav"
        yield* Effect.orDie(Context.get(context, ObjectStore).put(objectKey, file, { contentType: "audio/wav" }))
        const voiceId = yield* insert({
          voiceId: VoiceId.make("vox_mine"),
          kind: "cloned",
          reference: { sha256, objectKey, durationMs: 8000, transcript: clipText }
        })

        const first = yield* speak(voiceId)
        assert.equal(first.reply.status, 200, first.reply.bytes.toString())
        assert.ok(first.reply.bytes.length > 16_000, "half a second at least")
        const again = yield* speak(voiceId)
        assert.deepEqual(again.reply.bytes, first.reply.bytes)
        const { memoryHits, misses } = Context.get(context, ReferenceCache).stats()
        assert.deepEqual({ memoryHits, misses }, { memoryHits: 1, misses: 1 })
        const readyz = yield* get(`${url}/readyz`)
        assert.equal(readyz.json.reference_cache.hit_rate, 0.5)

        const unfitted = yield* said("slt", "A voice of my own.")
        assert.notDeepEqual(first.reply.bytes, Buffer.from(unfitted.buffer, unfitted.byteOffset, unfitted.byteLength))
        const id = again.reply.headers.get("x-scaispeak-synthesis-id")
        const { json } = yield* get(`${url}/synths/${id}`, again.token)
        assert.equal(json.data.engine, "flite")
        assert.equal(json.data.routing.at(-1), "Node fitting is asked: it holds the reference clip.")
        yield* idle
      }))

    it.effect("are not ready when their recording is gone or another one", () =>
      Effect.gen(function*() {
        const voiceId = yield* insert({
          voiceId: VoiceId.make("vox_lost"),
          kind: "cloned",
          reference: {
            sha256: "0".repeat(64),
            objectKey: "scaispeak/voices/vox_lost/x.wav",
            durationMs: 1,
            transcript: null
          }
        })
        const { reply } = yield* speak(voiceId)
        assert.equal(reply.status, 409)
        assert.equal(reply.json.error.code, "SCAISPEAK_VOICE_NOT_READY")
        yield* idle
      }))

    it.effect("are designed from words: the same for the same seed, others for another", () =>
      Effect.gen(function*() {
        const voiceId = yield* insert({
          voiceId: VoiceId.make("vox_designed"),
          kind: "designed",
          designPrompt: "A young woman, bright and quick."
        })
        const [one, same, other] = yield* Effect.forEach([1, 1, 2], (seed) => speak(voiceId, { seed }))
        assert.equal(one!.reply.status, 200, one!.reply.bytes.toString())
        assert.deepEqual(same!.reply.bytes, one!.reply.bytes)
        assert.notDeepEqual(other!.reply.bytes, one!.reply.bytes)
        assert.equal(one!.reply.headers.get("x-scaispeak-ignored-params"), null, "the seed is honoured")
        yield* idle
      }))

    it.effect("list how nodes follow", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const admin = yield* key("default", "root", "super_admin")
        const { json } = yield* until(get(`${url}/admin/nodes`, admin), ({ json }) => json.data.items.length === 1)
        const [engine] = json.data.items[0].engines
        assert.equal(engine.cloning, "fitted")
        assert.equal(engine.design, true)
        assert.equal(json.data.items[0].held_references, 1)
      }))
  })
}
