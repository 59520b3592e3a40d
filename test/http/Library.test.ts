/** Voices, policy and API keys, as clients of several tenants see them. */
import { layer } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { stores } from "../layers/stores.ts"
import { get, send, TestServer } from "../layers/TestServer.ts"

const good = { text: "Anything.", voice_id: "vox_scripted_say", response_format: "pcm" }

for (const [name, env] of stores) {
  layer(TestServer.layer(env), { excludeTestServices: true })(`library and administration on ${name}`, (it) => {
    it.effect("lists preset voices as global ones, page by page", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const viewer = yield* key("acme", "vic", "tenant_viewer")
        const seen: Array<string> = []
        let cursor: string | null = null
        do {
          const path: string = `${url}/voices?limit=3${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`
          const { json } = yield* get(path, viewer)
          assert.equal(json.status, "ok")
          assert.ok(json.data.items.length <= 3)
          seen.push(...json.data.items.map((voice: any) => voice.voice_id))
          cursor = json.data.pagination.next_cursor
          assert.equal(json.data.pagination.has_more, cursor !== null)
        } while (cursor !== null)
        assert.equal(new Set(seen).size, seen.length)
        assert.ok(seen.includes("vox_scripted_say") && seen.includes("vox_scripted_forever"))
      }))

    it.effect("shows a voice in full", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const { json } = yield* get(`${url}/voices/vox_scripted_say`, yield* key("acme", "vic", "tenant_viewer"))
        const { created_at, updated_at, ...voice } = json.data
        assert.match(created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/u)
        assert.match(updated_at, /Z$/u)
        assert.deepEqual(voice, {
          voice_id: "vox_scripted_say",
          display_name: "say",
          description: "",
          scope: "global",
          kind: "preset",
          language_primary: "en",
          language_supported: ["en"],
          gender: "neutral",
          age_hint: null,
          style_tags: [],
          embedding_status: "ready",
          status_reason: null,
          owner_user_id: null,
          tenant_id: null,
          defaults: {},
          backends: { A: true, B: false },
          relay_speaker: null,
          consent: null
        })
      }))

    it.effect("answers absent ids of any shape alike", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const viewer = yield* key("acme", "vic", "tenant_viewer")
        for (const id of ["vox_none", "vox_01k00000000000000000000000", "what", "%20"]) {
          const { json, status } = yield* get(`${url}/voices/${id}`, viewer, { "x-request-id": "same" })
          assert.equal(status, 404)
          assert.deepEqual(json, {
            status: "error",
            error: { code: "SCAISPEAK_VOICE_NOT_FOUND", message: "No such voice." },
            meta: { request_id: "same" }
          })
        }
      }))

    it.effect("provisions a policy at first use, and holds calls to it", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const admin = yield* key("locked", "root", "tenant_admin")
        assert.deepEqual((yield* get(`${url}/admin/policy`, admin)).json.data, {
          allowed_backends: ["A", "B"],
          default_backend: "A"
        })
        const put = yield* send("PUT", `${url}/admin/policy`, { allowed_backends: ["B"], default_backend: "B" }, admin)
        assert.equal(put.status, 200)
        const refused = yield* send("POST", `${url}/speak`, good, admin)
        assert.equal(refused.status, 502)
        assert.equal(refused.json.error.code, "SCAISPEAK_BACKEND_UNAVAILABLE")
        assert.deepEqual(
          refused.json.error.details.map(({ message }: any) => message),
          [
            "B cannot serve the call: no relay is configured.",
            "A is not allowed for this tenant."
          ]
        )
        const wrong = yield* send(
          "PUT",
          `${url}/admin/policy`,
          { allowed_backends: ["A"], default_backend: "B" },
          admin
        )
        assert.equal(wrong.status, 422)
        assert.equal(wrong.json.error.details[0].field, "default_backend")
      }))

    it.effect("lets who may only speak read the policy and not write it", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const speaker = yield* key("acme", "sam", "tenant_user", ["scaispeak:synthesize"])
        assert.equal((yield* get(`${url}/admin/policy`, speaker)).status, 200)
        const denied = yield* send(
          "PUT",
          `${url}/admin/policy`,
          { allowed_backends: ["A"], default_backend: "A" },
          speaker
        )
        assert.equal(denied.json.error.code, "AUTHZ_PERMISSION_DENIED")
      }))

    it.effect("makes a key, shows it once, lets it speak, and takes it away at once", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const admin = yield* key("acme", "root", "tenant_admin")
        const made = yield* send(
          "POST",
          `${url}/admin/api-keys`,
          { name: "ci", permissions: ["scaispeak:synthesize"] },
          admin
        )
        assert.equal(made.status, 201)
        const { key: secret, key_id } = made.json.data
        assert.match(secret, /^sgk_[\w-]{43}$/u)
        const listed = yield* get(`${url}/admin/api-keys`, admin)
        assert.ok(listed.json.data.items.some((item: any) => item.key_id === key_id && item.name === "ci"))
        assert.ok(!listed.bytes.toString().includes(secret))
        assert.equal((yield* send("POST", `${url}/speak`, good, secret)).status, 200)
        assert.equal((yield* send("DELETE", `${url}/admin/api-keys/${key_id}`, "", admin)).status, 200)
        assert.equal((yield* send("POST", `${url}/speak`, good, secret)).json.error.code, "AUTH_TOKEN_INVALID")
        assert.equal(
          (yield* send("DELETE", `${url}/admin/api-keys/key_none`, "", admin)).json.error.code,
          "SCAISPEAK_API_KEY_NOT_FOUND"
        )
      }))

    it.effect("grants nothing that its maker or its owner may not do, and nothing across tenants", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const limited = yield* key("acme", "half", "tenant_admin", ["scaispeak:admin"])
        const beyond = yield* send(
          "POST",
          `${url}/admin/api-keys`,
          { name: "x", permissions: ["scaispeak:synthesize"] },
          limited
        )
        assert.equal(beyond.json.error.details[0].field, "permissions")
        const admin = yield* key("acme", "root", "tenant_admin")
        const stranger = { name: "x", user_id: "nobody", permissions: ["scaispeak:synthesize"] }
        assert.equal(
          (yield* send("POST", `${url}/admin/api-keys`, stranger, admin)).json.error.details[0].field,
          "user_id"
        )
        const other = yield* key("globex", "eve", "tenant_admin")
        const { json } = yield* get(`${url}/admin/api-keys`, admin)
        const theirs = yield* send("DELETE", `${url}/admin/api-keys/${json.data.items[0].key_id}`, "", other)
        assert.equal(theirs.json.error.code, "SCAISPEAK_API_KEY_NOT_FOUND")
      }))

    it.effect("says that it lives, that it is ready, and what it measures", () =>
      Effect.gen(function*() {
        const { root, url } = yield* TestServer
        assert.deepEqual((yield* get(`${url}/healthz`)).json, { status: "ok", module: "scaispeak" })
        assert.deepEqual((yield* get(`${url}/readyz`)).json, {
          status: "ok",
          module: "scaispeak",
          checks: { database: "ok", objects: "ok", backends: "ok" },
          reference_cache: { hit_rate: null, entries: { memory: 0, disk: 0 }, bytes: { memory: 0, disk: 0 } }
        })
        const metrics = (yield* get(`${root}/metrics`)).bytes.toString()
        assert.match(metrics, /^# TYPE /mu)
        assert.match(metrics, /^scaispeak_reference_cache_bytes\{tier="disk"\} 0$/mu)
        assert.match((yield* get(`${root}/docs`)).bytes.toString(), /<title>ScaiSpeak/u)
        const document = (yield* get(`${root}/openapi.json`)).json
        assert.ok(document.paths["/v1/modules/scaispeak/speak"].post)
      }))
  })
}
