/** Changing, sharing, hearing and warming voices, as clients of two tenants see it. */
import { layer } from "@effect/vitest"
import { Context, DateTime, Effect } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import type { Voice } from "../../src/domain/Voice.ts"
import { Ledger } from "../../src/services/Ledger.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { ReferenceCache } from "../../src/services/ReferenceCache.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import { voice } from "../layers/voices.ts"
import { wavOf } from "../services/ClipNormaliser/wav.ts"
import { clip } from "./Cloning/forms.ts"

let made = 0

/** A voice of Ada's at Acme, spoken by the scripted node. */
const insert = Effect.fnUntraced(function*(fields: Partial<Voice> = {}) {
  const { context } = yield* TestServer
  const sql = Context.get(context, SqlClient.SqlClient)
  const one = voice({
    voiceId: VoiceId.make(`vox_made_${made++}`),
    scope: "user",
    kind: "cloned",
    tenantId: TenantId.make("acme"),
    ownerUserId: UserId.make("ada"),
    preset: { engine: "scripted", name: "say" },
    createdAt: DateTime.nowUnsafe(),
    updatedAt: DateTime.nowUnsafe(),
    ...fields
  })
  yield* Effect.orDie(sql`INSERT INTO voices ${sql.insert(encode(one))}`)
  return one.voiceId
})

/** Another one each time. */
const tone = () =>
  wavOf({
    coding: "s16",
    sampleRate: 16_000,
    channels: [Float64Array.from({ length: 16_000 }, (_, n) => 0.5 * Math.sin(n * (++made) * 1e-5))]
  })

/** A voice that follows a clip in the object store. */
const insertClone = Effect.fnUntraced(function*(fields: Partial<Voice> = {}, file: Uint8Array = tone()) {
  const { context } = yield* TestServer
  const sha256 = createHash("sha256").update(file).digest("hex")
  const objectKey = `scaispeak/voices/${sha256}/reference.wav`
  yield* Effect.orDie(Context.get(context, ObjectStore).put(objectKey, file, { contentType: "audio/wav" }))
  const reference = { sha256, objectKey, durationMs: 1000, transcript: "What Ada said." }
  return { file: Buffer.from(file), id: yield* insert({ preset: null, reference, ...fields }), reference }
})

const everything = [
  "scaispeak:synthesize",
  "scaispeak:voice.read",
  "scaispeak:voice.write",
  "scaispeak:voice.share"
] as const

const people = Effect.gen(function*() {
  const { key } = yield* TestServer
  return {
    ada: yield* key("acme", "ada", "tenant_user", everything),
    bob: yield* key("acme", "bob", "tenant_user", everything),
    root: yield* key("acme", "root", "tenant_admin"),
    eve: yield* key("globex", "eve", "tenant_admin"),
    su: yield* key("default", "su", "super_admin")
  }
})

const absent = {
  status: "error",
  error: { code: "SCAISPEAK_VOICE_NOT_FOUND", message: "No such voice." },
  meta: { request_id: "same" }
}
const same = { "x-request-id": "same" }

for (const [name, env] of stores) {
  layer(TestServer.layer(env), { excludeTestServices: true })(`the voice library on ${name}`, (it) => {
    it.effect("changes what a patch names, clears what is null, and finds the voice by its new words", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada } = yield* people
        const id = yield* insert({
          displayName: "Before",
          description: "old words",
          ageHint: "30s",
          defaults: { speed: 1.5, instructions: "softly" }
        })
        const before = (yield* get(`${url}/voices/${id}`, ada)).json.data
        const patch = {
          display_name: " Žofie ",
          description: null,
          gender: "female",
          age_hint: null,
          style_tags: ["calm", "warm"],
          language_supported: ["nl", "en", "nl"],
          defaults: { speed: null, cfg_value: 2.5 }
        }
        const { json, status } = yield* send("PATCH", `${url}/voices/${id}`, patch, ada)
        assert.equal(status, 200)
        assert.ok(json.data.updated_at > before.updated_at)
        assert.deepEqual(json.data, {
          ...before,
          ...patch,
          display_name: "Žofie",
          description: "",
          language_supported: ["en", "nl"],
          defaults: { instructions: "softly", cfg_value: 2.5 },
          updated_at: json.data.updated_at
        })
        assert.deepEqual((yield* get(`${url}/voices/${id}`, ada)).json.data, json.data)
        const found = (query: string) =>
          Effect.map(
            get(`${url}/voices?${query}`, ada),
            ({ json }) => json.data.items.some((voice: any) => voice.voice_id === id)
          )
        assert.deepEqual(
          yield* Effect.all([
            found("q=zofie"),
            found("q=warm"),
            found("language=nl"),
            found("q=before"),
            found("q=old")
          ]),
          [true, true, true, false, false]
        )
        const untouched = yield* send("PATCH", `${url}/voices/${id}`, {}, ada)
        assert.deepEqual(untouched.json.data, json.data)
        const cleared = yield* send("PATCH", `${url}/voices/${id}`, { defaults: null, language_supported: null }, ada)
        assert.deepEqual([cleared.json.data.defaults, cleared.json.data.language_supported], [{}, ["en"]])
      }))

    it.effect("refuses what a voice cannot have, field by field, and fields that it does not know", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada } = yield* people
        const id = yield* insert()
        const cases: ReadonlyArray<readonly [unknown, string]> = [
          [{ display_name: null }, "display_name"],
          [{ display_name: "  " }, "display_name"],
          [{ display_name: "🦜".repeat(101) }, "display_name"],
          [{ description: "x".repeat(2001) }, "description"],
          [{ gender: "robot" }, "gender"],
          [{ style_tags: Array.from({ length: 17 }, () => "calm") }, "style_tags"],
          [{ language_supported: ["english"] }, "language_supported.0"],
          [{ defaults: { speed: 3 } }, "defaults.speed"],
          [{ defaults: { seed: 1 } }, "defaults.seed"],
          [{ scope: "tenant" }, "scope"],
          [{ language_primary: "de" }, "language_primary"],
          [{ displayName: "x" }, "displayName"]
        ]
        for (const [patch, field] of cases) {
          const { json, status } = yield* send("PATCH", `${url}/voices/${id}`, patch, ada)
          assert.equal(status, 422, field)
          assert.equal(json.error.details[0].field, field)
        }
        assert.equal((yield* send("PATCH", `${url}/voices/${id}`, { display_name: "🦜".repeat(100) }, ada)).status, 200)
      }))

    it.effect("loses no field of patches that come at once, and moves the time at each", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada } = yield* people
        const id = yield* insert()
        const patches = [
          { display_name: "Every one" },
          { description: "of these" },
          { gender: "male" },
          { age_hint: "40s" },
          { style_tags: ["arrived"] },
          { language_supported: ["de"] },
          { defaults: { speed: 1.25 } },
          { defaults: { cfg_value: 3 } },
          { defaults: { instructions: "slowly" } },
          { defaults: { warmup_trim_ms: 40 } }
        ]
        const replies = yield* Effect.forEach(
          patches,
          (patch) => send("PATCH", `${url}/voices/${id}`, patch, ada),
          { concurrency: "unbounded" }
        )
        assert.deepEqual(replies.map(({ status }) => status), patches.map(() => 200))
        assert.equal(new Set(replies.map(({ json }) => json.data.updated_at)).size, patches.length)
        const { json } = yield* get(`${url}/voices/${id}`, ada)
        const { age_hint, defaults, description, display_name, gender, language_supported, style_tags } = json.data
        assert.deepEqual(
          { age_hint, defaults, description, display_name, gender, language_supported, style_tags },
          {
            ...Object.assign({}, ...patches.slice(0, 5)),
            language_supported: ["en", "de"],
            defaults: { speed: 1.25, cfg_value: 3, instructions: "slowly", warmup_trim_ms: 40 }
          }
        )
        const search = yield* get(`${url}/voices?q=${encodeURIComponent("every these arrived")}&language=de`, ada)
        assert.deepEqual(search.json.data.items.map((voice: any) => voice.voice_id), [id])
      }))

    it.effect("speaks as changed at once", () =>
      Effect.gen(function*() {
        const { node, url } = yield* TestServer
        const { ada } = yield* people
        const id = yield* insert()
        const speak = send("POST", `${url}/speak`, { text: "Hi.", voice_id: id, response_format: "pcm" }, ada)
        assert.equal((yield* speak).status, 200)
        yield* send("PATCH", `${url}/voices/${id}`, { defaults: { speed: 1.5 } }, ada)
        assert.equal((yield* speak).status, 200)
        assert.deepEqual(node.requests.slice(-2).map(({ params }) => params?.speed), [undefined, 1.5])
        yield* idle
      }))

    it.effect("answers to each caller what the table says, and alike for absent and hidden voices", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada, bob, eve, root, su } = yield* people
        const everyRoute = (id: string, token: string) =>
          Effect.forEach(
            [
              ["GET", ""],
              ["PATCH", ""],
              ["POST", "/share"],
              ["DELETE", "/share"],
              ["POST", "/preview"],
              ["GET", "/reference"],
              ["GET", "/warm"],
              ["POST", "/warm"],
              ["DELETE", "/warm"],
              ["POST", "/evict"],
              ["POST", "/repromote"]
            ] as const,
            ([method, path]) =>
              method === "GET"
                ? get(`${url}/voices/${id}${path}`, token, same)
                : send(
                  method,
                  `${url}/voices/${id}${path}`,
                  method === "PATCH" ? { gender: "male" } : "{}",
                  token,
                  same
                )
          )
        const mine = yield* insert()
        const [nothing, ...hidden] = yield* Effect.all([
          everyRoute("vox_none", bob),
          everyRoute("no id at all", bob),
          everyRoute(mine, bob),
          everyRoute(mine, root),
          everyRoute(mine, eve),
          everyRoute(mine, su)
        ])
        for (const { json, status } of nothing!) assert.deepEqual([status, json], [404, absent])
        for (const replies of hidden) {
          assert.deepEqual(replies.map(({ bytes }) => `${bytes}`), nothing!.map(({ bytes }) => `${bytes}`))
        }

        const ours = yield* insert({ scope: "tenant" })
        const statuses = (id: string, token: string) =>
          Effect.map(everyRoute(id, token), (replies) => replies.map(({ status }) => status).join(" "))
        assert.equal(yield* statuses(ours, bob), "200 403 403 403 200 404 200 200 200 200 200")
        assert.equal(yield* statuses(ours, eve), "404 404 404 404 404 404 404 404 404 404 404")
        // Once an administrator has taken it back, it is its owner's alone.
        assert.equal(yield* statuses(ours, root), "200 200 200 200 404 404 404 404 404 404 404")
        const kept = yield* insert({ scope: "tenant" })
        assert.equal(yield* statuses(kept, ada), "200 403 200 200 200 404 200 200 200 200 200")
        for (const token of [ada, root, su]) {
          assert.equal(yield* statuses("vox_scripted_say", token), "200 403 403 403 200 404 200 200 200 200 200")
        }
        const { json } = yield* send("POST", `${url}/voices/vox_scripted_say/share`, "", root)
        assert.equal(json.error.code, "AUTHZ_PERMISSION_DENIED")
        assert.match(json.error.details[0].message, /^ownership of the voice/u)
        yield* idle
      }))

    it.effect("needs its permission for each act, sharing apart from writing", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const id = yield* insert()
        const writer = yield* key("acme", "ada", "tenant_user", ["scaispeak:voice.read", "scaispeak:voice.write"])
        const sharer = yield* key("acme", "ada", "tenant_user", ["scaispeak:voice.share"])
        const missing = (reply: any) => [reply.status, reply.json.error?.details[0].message]
        const at = `${url}/voices/${id}`
        assert.deepEqual(missing(yield* send("POST", `${at}/share`, "", writer)), [403, "scaispeak:voice.share"])
        assert.deepEqual(missing(yield* send("DELETE", `${at}/share`, "", writer)), [403, "scaispeak:voice.share"])
        assert.deepEqual(missing(yield* send("PATCH", at, {}, sharer)), [403, "scaispeak:voice.write"])
        assert.deepEqual(missing(yield* send("POST", `${at}/warm`, "", sharer)), [403, "scaispeak:voice.write"])
        assert.deepEqual(missing(yield* send("POST", `${at}/preview`, {}, sharer)), [403, "scaispeak:voice.read"])
        assert.equal((yield* send("POST", `${at}/share`, "", sharer)).status, 200)
      }))

    it.effect("shares a voice with the tenant and gives it back, each as often as asked", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada, bob, eve, root } = yield* people
        const id = yield* insert()
        const at = `${url}/voices/${id}`
        const speak = (token: string) =>
          Effect.map(
            send("POST", `${url}/speak`, { text: "Hi.", voice_id: id, response_format: "pcm" }, token),
            ({ status }) => status
          )
        assert.deepEqual(yield* Effect.all([speak(ada), speak(bob), speak(root)]), [200, 404, 404])
        const shared = yield* send("POST", `${at}/share`, "", ada)
        assert.deepEqual([shared.json.data.scope, shared.json.data.owner_user_id], ["tenant", "ada"])
        assert.deepEqual((yield* send("POST", `${at}/share`, "", root)).json.data, shared.json.data, "again: nothing")
        assert.deepEqual(yield* Effect.all([speak(bob), speak(root), speak(eve)]), [200, 200, 404])
        const listed = yield* get(`${url}/voices?scope=tenant&limit=200`, bob)
        assert.ok(listed.json.data.items.some((voice: any) => voice.voice_id === id))
        const back = yield* send("DELETE", `${at}/share`, "", root)
        assert.deepEqual([back.json.data.scope, back.json.data.owner_user_id], ["user", "ada"])
        assert.deepEqual(yield* Effect.all([speak(ada), speak(bob), speak(root)]), [200, 404, 404])
        assert.deepEqual((yield* send("DELETE", `${at}/share`, "", ada)).json.data, back.json.data, "again: nothing")
        yield* idle
      }))

    it.effect("lets a voice be heard: the caller's text or a sentence of its language, accounted like any call", () =>
      Effect.gen(function*() {
        const { context, node, url } = yield* TestServer
        const { ada } = yield* people
        const id = yield* insert({ languagePrimary: "nl" })
        const preview = (body: unknown) => send("POST", `${url}/voices/${id}/preview`, body, ada)
        const said = yield* preview({ text: "Dag.", response_format: "wav" })
        assert.equal(said.status, 200, `${said.bytes}`)
        const { audio_base64, synthesis_id, ...rest } = said.json.data
        const audio = Buffer.from(audio_base64, "base64")
        assert.equal(audio.toString("latin1", 0, 4), "RIFF")
        assert.deepEqual(rest, {
          voice_id: id,
          backend_used: "A",
          text: "Dag.",
          characters: 4,
          audio_duration_ms: 1500,
          response_format: "wav",
          sample_rate: 16000
        })
        const plain = yield* preview({})
        assert.equal(plain.json.data.response_format, "mp3")
        assert.match(node.requests.at(-1)!.text, /^Hallo, zo klinkt/u)
        assert.equal(node.requests.at(-1)!.language, "nl")
        assert.equal((yield* preview({ text: "🦜".repeat(300) })).status, 200)
        for (const body of [{ text: "🦜".repeat(301) }, { text: " " }, { voice: "x" }, { response_format: "aiff" }]) {
          assert.equal((yield* preview(body)).json.error.code, "VALIDATION_ERROR")
        }
        yield* until(Context.get(context, Ledger).depth, (rows) => rows === 0)
        const record = yield* get(`${url}/synths/${synthesis_id}`, ada)
        assert.deepEqual([record.json.data.characters, record.json.data.tags], [4, ["preview"]])
        yield* idle
      }))

    it.effect("does not let a voice be heard that is not ready", () =>
      Effect.gen(function*() {
        const { node, url } = yield* TestServer
        const { ada } = yield* people
        const id = yield* insert({ embeddingStatus: "evicted", statusReason: "It is being erased." })
        const before = node.requests.length
        const { json, status } = yield* send("POST", `${url}/voices/${id}/preview`, {}, ada)
        assert.deepEqual([status, json.error.details[0].message], [409, "It is being erased."])
        assert.equal(node.requests.length, before)
        assert.equal((yield* send("POST", `${url}/voices/${id}/warm`, "", ada)).status, 409)
      }))

    it.effect("shows what a voice follows, and gives the clip to its owner and administrators alone", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada, bob, eve, root } = yield* people
        const { file, id, reference } = yield* insertClone({ scope: "tenant" })
        const shown = yield* get(`${url}/voices/${id}`, bob)
        assert.deepEqual(shown.json.data.reference, { duration_ms: 1000, sha256: reference.sha256 })
        assert.deepEqual([shown.json.data.consent, shown.json.data.license], [null, null])
        assert.deepEqual(shown.json.data.backends, { A: true, B: false })
        assert.ok(!shown.bytes.includes("What Ada said"), "what a person said is in no record")

        const at = `${url}/voices/${id}/reference`
        for (const token of [ada, root]) {
          const whole = yield* get(at, token)
          assert.equal(whole.status, 200, `${whole.bytes}`)
          assert.deepEqual(whole.bytes, file)
          assert.equal(whole.headers.get("content-type"), "audio/wav")
          assert.equal(whole.headers.get("content-length"), `${file.length}`)
          assert.equal(whole.headers.get("accept-ranges"), "bytes")
        }
        for (const token of [bob, eve]) assert.deepEqual((yield* get(at, token, same)).json, absent)

        const size = file.length
        const ranges: ReadonlyArray<readonly [string, number, number]> = [
          ["bytes=0-99", 0, 99],
          ["bytes=100-", 100, size - 1],
          ["bytes=-50", size - 50, size - 1],
          [`bytes=10-${size + 10}`, 10, size - 1]
        ]
        for (const [range, first, last] of ranges) {
          const part = yield* get(at, ada, { range })
          assert.equal(part.status, 206, range)
          assert.equal(part.headers.get("content-range"), `bytes ${first}-${last}/${size}`)
          assert.deepEqual(part.bytes, file.subarray(first, last + 1))
        }
        for (const range of ["bytes=-0", `bytes=${size}-`, "bytes=5-2", "bytes=0-1,4-5", "lines=1-2", "bytes=-"]) {
          const whole = yield* get(at, ada, { range })
          assert.deepEqual([whole.status, whole.bytes.length], [200, size], range)
        }
        const stale = yield* get(at, ada, { range: "bytes=0-9", "if-range": "\"another\"" })
        assert.equal(stale.status, 200)
      }))

    it.effect("keeps the warm registry and the reference cache true", () =>
      Effect.gen(function*() {
        const { context, url } = yield* TestServer
        const { ada } = yield* people
        const { id, reference } = yield* insertClone({}, clip)
        const cache = Context.get(context, ReferenceCache)
        const objects = Context.get(context, ObjectStore)
        const at = `${url}/voices/${id}`
        const idleReply = {
          voice_id: id,
          engine: "zero_shot",
          effect: "none",
          warm_nodes: [],
          reference: "unchanged"
        }
        assert.deepEqual((yield* get(`${at}/warm`, ada)).json.data, idleReply)
        const kept = cache.stats().entries
        const warmed = (yield* send("POST", `${at}/warm`, "", ada)).json.data
        assert.deepEqual({ ...warmed, warm_nodes: [] }, { ...idleReply, reference: "cached" })
        assert.equal(warmed.warm_nodes.length, 1)
        assert.match(warmed.warm_nodes[0].warmed_at, /Z$/u)
        assert.deepEqual(cache.stats().entries, { memory: kept.memory + 1, disk: kept.disk + 1 })
        assert.deepEqual((yield* get(`${at}/warm`, ada)).json.data, { ...warmed, reference: "unchanged" })

        const again = (yield* send("POST", `${at}/repromote`, "", ada)).json.data
        assert.equal(again.reference, "cached")
        yield* objects.remove(reference.objectKey).pipe(Effect.orDie)
        assert.equal((yield* send("POST", `${at}/warm`, "", ada)).status, 200, "it is in the cache")
        const lost = yield* send("POST", `${at}/repromote`, "", ada)
        assert.deepEqual([lost.status, lost.json.error.code], [409, "SCAISPEAK_VOICE_NOT_READY"])

        for (const evict of [send("DELETE", `${at}/warm`, "", ada), send("POST", `${at}/evict`, "", ada)]) {
          assert.deepEqual((yield* evict).json.data, { ...idleReply, reference: "dropped" })
          assert.deepEqual(cache.stats().entries, kept)
          assert.deepEqual((yield* get(`${at}/warm`, ada)).json.data, idleReply)
        }
        const preset = yield* send("POST", `${url}/voices/vox_scripted_say/warm`, "", ada)
        assert.equal(preset.json.data.reference, "none")
        assert.equal(preset.json.data.warm_nodes.length, 1)
      }))

    it.effect("writes down who did what to which voice", () =>
      Effect.gen(function*() {
        const { context, url } = yield* TestServer
        const { ada, bob } = yield* people
        const id = yield* insert()
        yield* send("POST", `${url}/voices/${id}/share`, "", ada)
        yield* send("PATCH", `${url}/voices/${id}`, { gender: "male" }, bob)
        yield* send("POST", `${url}/voices/${id}/evict`, "", bob)
        const sql = Context.get(context, SqlClient.SqlClient)
        yield* until(Context.get(context, Ledger).depth, (rows) => rows === 0)
        const rows = yield* Effect.orDie(sql<{ action: string; actor_user_id: string; outcome: string }>`
          SELECT action, actor_user_id, outcome FROM audit_log WHERE resource_id = ${id} ORDER BY audit_id`)
        assert.deepEqual(rows.map((row) => [row.action, row.actor_user_id, row.outcome]), [
          ["voices.share", "ada", "allowed"],
          ["voices.update", "bob", "denied"],
          ["warming.evictVoice", "bob", "allowed"]
        ])
      }))
  })
}
