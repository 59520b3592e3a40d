/** Erasing voices and persons over HTTP: out of sight at once, then gone from everywhere, with a proof that nobody can change. */
import { layer } from "@effect/vitest"
import { Context, Effect, Fiber, Stream } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { inspect } from "node:util"
import type { AuthUser } from "../../src/domain/Permission.ts"
import { ClipFiles } from "../../src/services/ClipFiles.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { Recordings } from "../../src/services/Recordings.ts"
import { ReferenceCache } from "../../src/services/ReferenceCache.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import { scripted } from "../layers/voices.ts"
import { clip as cloneClip, clone, design, submit } from "./Cloning/forms.ts"

const service = <I, S>(key: Context.Key<I, S>) =>
  Effect.map(TestServer, ({ context }) => Context.get(context as Context.Context<I>, key))

const people = Effect.gen(function*() {
  const { key } = yield* TestServer
  const permissions = [
    "scaispeak:synthesize",
    "scaispeak:voice.read",
    "scaispeak:voice.write",
    "scaispeak:voice.share"
  ] as const
  return {
    ada: yield* key("acme", "ada", "tenant_user", permissions),
    bob: yield* key("acme", "bob", "tenant_user", permissions),
    root: yield* key("acme", "root", "tenant_admin"),
    eve: yield* key("globex", "eve", "tenant_admin"),
    god: yield* key("default", "god", "super_admin")
  }
})

const erase = (url: string, key: string, voiceId: string) => send("DELETE", `${url}/voices/${voiceId}`, "", key)

/** Until everything that an erasure has to remove is gone. */
const done = Effect.fnUntraced(function*(erasureId: string, admin: string) {
  const { url } = yield* TestServer
  const { json } = yield* until(
    get(`${url}/admin/erasure/${erasureId}`, admin),
    ({ json }) => json.data.status !== "pending"
  )
  return json.data
})

const hash = (tenant: string, user: string) => createHash("sha256").update(`${tenant}\n${user}`).digest("hex")

for (const [name, env] of stores) {
  layer(TestServer.layer(env), { excludeTestServices: true })(`erasure on ${name}`, (it) => {
    it.effect("leaves nothing of a cloned voice but hashes and numbers", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada, bob, root } = yield* people
        const sql = yield* service(SqlClient.SqlClient)
        const cache = yield* service(ReferenceCache)
        const idempotent = { "idempotency-key": "clone-1" }
        const form = { ...clone, display_name: "A rare name", description: "hers", style_tags_json: "[\"hers\"]" }
        const made = yield* submit(`${url}/voices`, form, ada, idempotent)
        const voiceId: string = made.json.data.voice_id
        const speak = (key: string, headers = {}) =>
          send("POST", `${url}/speak`, { text: "Gone soon.", voice_id: voiceId }, key, headers)
        assert.equal((yield* speak(ada, { "idempotency-key": "speak-1" })).status, 200)
        assert.equal((yield* send("POST", `${url}/voices/${voiceId}/warm`, {}, ada)).status, 200)
        assert.equal((yield* send("POST", `${url}/voices/${voiceId}/share`, {}, ada)).status, 200)
        yield* until(
          Effect.orDie(sql`SELECT 1 FROM idempotency_keys WHERE voice_id = ${voiceId}`),
          ({ length }) => length === 2
        )
        assert.ok(cache.held().includes(made.json.data.reference.sha256))

        const { json, status } = yield* erase(url, ada, voiceId)
        assert.deepEqual([status, json.data.subject, json.data.kind], [202, voiceId, "voice"])
        for (const key of [ada, bob, root]) {
          assert.equal((yield* get(`${url}/voices/${voiceId}`, key)).status, 404)
          assert.deepEqual((yield* get(`${url}/voices?kind=cloned`, key)).json.data.items, [])
          assert.equal((yield* send("POST", `${url}/voices/${voiceId}/share`, {}, key)).status, 404)
          assert.equal((yield* send("PATCH", `${url}/voices/${voiceId}`, { description: "x" }, key)).status, 404)
        }
        const { counts, status: state } = yield* done(json.data.erasure_id, root)
        assert.equal(state, "done")
        assert.deepEqual(counts, { kept_replies: 2, objects: 3, cached_clips: 1, warm_marks: 1, consents: 1 })
        assert.equal((yield* speak(ada)).status, 404)
        assert.equal((yield* speak(ada, { "idempotency-key": "speak-1" })).status, 404)

        const verified = yield* get(`${url}/admin/erasure/${json.data.erasure_id}/verify`, root)
        assert.deepEqual(verified.json.data, { erasure_id: json.data.erasure_id, complete: true, left: [] })
        const objects = yield* service(ObjectStore)
        const blobs = yield* Effect.orDie(Stream.runCollect(objects.list(`scaispeak/voices/${voiceId}/`)))
        assert.deepEqual(blobs, [])
        assert.ok(!cache.held().includes(made.json.data.reference.sha256))
        const tables = ["voices", "consents", "consent_details", "erasures", "erasure_audit", "idempotency_keys"]
        for (const table of tables) {
          const rows = JSON.stringify(yield* Effect.orDie(sql`SELECT * FROM ${sql(table)}`))
          assert.ok(!/rare name|hers|Lovelace|audiobooks|cloned\. /u.test(rows), table)
        }
        assert.equal((yield* get(`${url}/admin/consents/verify`, root)).json.data.intact, true)

        const again = yield* erase(url, ada, voiceId)
        assert.deepEqual([again.status, again.json.data.erasure_id], [202, json.data.erasure_id])
        assert.equal((yield* erase(url, bob, voiceId)).status, 404)

        const [audit] = (yield* get(`${url}/admin/erasure/audit`, root)).json.data.items
        assert.deepEqual(
          [audit.erasure_id, audit.subject, audit.requested_by_sha256, audit.counts],
          [json.data.erasure_id, voiceId, hash("acme", "ada"), counts]
        )
        for (
          const tampering of [
            sql`UPDATE erasure_audit SET counts_json = '{}'`,
            sql`DELETE FROM erasure_audit WHERE erasure_id = ${audit.erasure_id}`
          ]
        ) {
          const { reason } = yield* Effect.flip(tampering)
          assert.match(inspect(reason), /only added to/u)
        }
      }), 30_000)

    it.effect("breaks off what runs in the voice", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada, root } = yield* people
        const sql = yield* service(SqlClient.SqlClient)
        const own = { scope: "user", tenantId: "acme", ownerUserId: "ada", kind: "cloned" } as never
        const running = scripted("steady", { ...own as object, voiceId: `vox_running_${Date.now()}` as never })
        yield* Effect.orDie(sql`INSERT INTO voices ${sql.insert(encode(running))}`)
        yield* (yield* service(VoiceRepo)).invalidate(running.voiceId)
        const body = { text: "On and on.", voice_id: running.voiceId, response_format: "pcm" }
        let begun = false
        const call = yield* Effect.forkChild(Effect.exit(Effect.tryPromise(() =>
          fetch(`${url}/speak`, {
            method: "POST",
            headers: { authorization: `Bearer ${ada}`, "content-type": "application/json" },
            body: JSON.stringify(body)
          }).then((response) => {
            begun = response.ok
            return response.arrayBuffer()
          })
        )))
        yield* until(Effect.sync(() => begun), (begun) => begun)
        const { json } = yield* erase(url, ada, running.voiceId)
        yield* idle
        yield* done(json.data.erasure_id, root)
        assert.equal((yield* Fiber.join(call))._tag, "Failure", "never a clean end of a cut file")
      }))

    it.effect("is for those who may", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada, bob, eve, god, root } = yield* people
        const voice = Effect.map(submit(`${url}/voices`, design, ada), ({ json }) => json.data.voice_id as string)
        const own = yield* voice
        const shared = yield* voice
        yield* send("POST", `${url}/voices/${shared}/share`, {}, ada)
        const refusals = [
          [bob, own, 404],
          [root, own, 404],
          [eve, own, 404],
          [god, own, 404],
          [bob, shared, 403],
          [
            eve,
            shared,
            404
          ],
          [root, "vox_absent", 404],
          [root, "nonsense", 404],
          [root, "vox_scripted_say", 403]
        ] as const
        for (const [key, id, status] of refusals) assert.equal((yield* erase(url, key, id)).status, status, id)
        assert.equal((yield* get(`${url}/voices/${own}`, ada)).status, 200, "nothing happened")
        assert.equal((yield* erase(url, ada, own)).status, 202)
        const { json } = yield* erase(url, root, shared)
        const status = `${url}/admin/erasure/${json.data.erasure_id}`
        assert.equal((yield* get(status, bob)).status, 403)
        assert.equal((yield* get(status, eve)).json.error.code, "SCAISPEAK_ERASURE_NOT_FOUND")
        assert.equal((yield* get(`${status}/verify`, eve)).json.error.code, "SCAISPEAK_ERASURE_NOT_FOUND")
        assert.deepEqual((yield* get(`${url}/admin/erasure/audit`, eve)).json.data.items, [])
      }))

    it.effect("takes a preset away for good, whatever its engine lists", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada, god, root } = yield* people
        const sql = yield* service(SqlClient.SqlClient)
        const at = `${url}/admin/voices/global/vox_scripted_stall`
        assert.equal((yield* send("DELETE", at, "", root)).json.error.code, "AUTHZ_PERMISSION_DENIED")
        const { json } = yield* send("DELETE", at, "", god)
        assert.equal((yield* send("DELETE", at, "", god)).json.data.erasure_id, json.data.erasure_id)
        yield* done(json.data.erasure_id, god)
        const listing = {
          voiceId: "vox_scripted_stall",
          displayName: "Stall again",
          description: "",
          gender: "neutral",
          languages: ["en"],
          styleTags: [],
          preset: { engine: "scripted", name: "stall" },
          relaySpeaker: null
        } as never
        yield* (yield* service(VoiceRepo)).syncPresets([listing])
        assert.equal((yield* get(`${url}/voices/vox_scripted_stall`, ada)).status, 404)
        assert.deepEqual((yield* get(`${url}/voices?q=stall`, ada)).json.data.items, [])
        const rows = yield* Effect.orDie(sql`SELECT * FROM voices WHERE voice_id = 'vox_scripted_stall'`)
        assert.ok(!/"Stall/u.test(JSON.stringify(rows)))
        assert.equal((yield* send("DELETE", `${url}/admin/voices/global/vox_none`, "", god)).status, 404)
      }))

    it.effect("takes a person's name out of everything", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const { ada, bob, root } = yield* people
        const sql = yield* service(SqlClient.SqlClient)
        const cleo = yield* key("acme", "cleo", "tenant_user", [
          "scaispeak:synthesize",
          "scaispeak:voice.read",
          "scaispeak:voice.write",
          "scaispeak:voice.share"
        ])
        const shared: string =
          (yield* submit(`${url}/voices`, { ...clone, display_name: "Cleo's" }, cleo)).json.data.voice_id
        yield* send("POST", `${url}/voices/${shared}/share`, {}, cleo)
        yield* submit(`${url}/voices`, design, cleo, { "idempotency-key": "mine" })
        const former = yield* submit(`${url}/voices`, design, cleo)
        yield* erase(url, cleo, former.json.data.voice_id)
        const spoken = { text: "I was here.", voice_id: "vox_scripted_say", tags: ["cleo's book"] }
        const { headers } = yield* send("POST", `${url}/speak`, spoken, cleo)
        const synthesisId = headers.get("x-scaispeak-synthesis-id")!
        assert.equal((yield* get(`${url}/synths/${synthesisId}`, cleo)).status, 200)

        const recordings = yield* service(Recordings)
        const owner = { tenantId: "acme", userId: "cleo" } as AuthUser
        yield* Effect.scoped(Effect.flatMap(
          Effect.flatMap(service(ClipFiles), (files) => files.keep("reference", Stream.make(cloneClip))),
          (clip) => recordings.keep(owner, "reference", clip)
        ))
        assert.equal(yield* recordings.count(owner), 1)

        const asked = yield* send("POST", `${url}/admin/erasure`, { user_id: "cleo" }, root)
        assert.deepEqual([asked.status, asked.json.data.subject], [202, hash("acme", "cleo")])
        assert.equal((yield* get(`${url}/voices/${shared}`, bob)).status, 404)
        const { counts, erasure_id } = yield* done(asked.json.data.erasure_id, root)
        assert.deepEqual({ ...counts, audit_entries: counts.audit_entries > 0 }, {
          api_keys: 1,
          recordings: 1,
          usage_records: 1,
          audit_entries: true,
          erasures: 1,
          users: 1,
          voices: 2
        })
        assert.equal((yield* get(`${url}/voices`, cleo)).status, 401)
        const sound = (yield* service(ObjectStore)).list("scaispeak/recordings/")
        assert.deepEqual(yield* Effect.orDie(Stream.runCollect(sound)), [])
        const verify = `${url}/admin/erasure/${erasure_id}/verify`
        assert.equal((yield* get(verify, root)).status, 422)
        assert.equal((yield* get(`${verify}?user_id=bob`, root)).status, 422)
        assert.deepEqual((yield* get(`${verify}?user_id=cleo`, root)).json.data.left, [])
        const [usage] = yield* Effect.orDie(sql`SELECT * FROM usage_records WHERE synthesis_id = ${synthesisId}`)
        assert.deepEqual([usage!.user_id, usage!.tags, Number(usage!.characters)], [erasure_id, "[]", 11])
        for (
          const table of ["voices", "api_keys", "users", "idempotency_keys", "usage_records", "audit_log"]
        ) {
          const rows = JSON.stringify(yield* Effect.orDie(sql`SELECT * FROM ${sql(table)}`))
          assert.ok(!/cleo/iu.test(rows), table)
        }
        // The person's own names them for one more hour, to look once more.
        const others = yield* Effect.orDie(sql`SELECT * FROM erasures WHERE kind = 'voice'`)
        assert.ok(!/cleo/iu.test(JSON.stringify(others)))
        assert.equal((yield* get(`${url}/voices`, ada)).status, 200, "others stay")
        assert.equal((yield* send("POST", `${url}/admin/erasure`, { user_id: "ada" }, bob)).status, 403)
        assert.equal((yield* send("POST", `${url}/admin/erasure`, { user: "ada" }, root)).status, 422)
      }), 30_000)
  })
}
