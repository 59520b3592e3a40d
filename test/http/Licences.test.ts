/** Licences through the whole service: who may set them, what they refuse, and what is counted. */
import { layer } from "@effect/vitest"
import { Context, Effect, Stream } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { VoiceId } from "../../src/domain/Ids.ts"
import { Licences } from "../../src/services/Licences.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import { clip, consentClip, type Form, submit } from "./Cloning/forms.ts"

const text = "Anything."
const globals = "/admin/voices/global"

/** The service, spoken to by a speaker of one tenant and by a super admin. */
const client = Effect.gen(function*() {
  const server = yield* TestServer
  const admin = yield* server.key("default", "root", "super_admin")
  const ada = yield* server.key("acme", "ada", "tenant_admin")
  return {
    ...server,
    admin,
    ada,
    speak: (voice_id: string) => send("POST", `${server.url}/speak`, { text, voice_id, response_format: "pcm" }, ada),
    /** Until it is abandoned. */
    listen: (voice_id: string, signal: AbortSignal) =>
      Effect.promise(() =>
        fetch(`${server.url}/speak`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: `Bearer ${ada}` },
          body: JSON.stringify({ text, voice_id, response_format: "pcm" }),
          signal
        })
      ),
    license: (voice: string, terms: unknown) => send("PATCH", `${server.url}${globals}/${voice}`, terms, admin),
    shown: (voice: string) => Effect.map(get(`${server.url}/voices/${voice}`, ada), ({ json }) => json.data.license)
  }
})

for (const [name, env] of stores) {
  layer(TestServer.layer(env), { excludeTestServices: true })(`licences, on ${name}`, (it) => {
    it.effect("are given and changed by super admins, shown to all, and met at once", () =>
      Effect.gen(function*() {
        const { ada, license, node, shown, speak, url } = yield* client
        const voice = "vox_scripted_words"
        assert.equal(yield* shown(voice), null)
        assert.equal((yield* speak(voice)).status, 200)

        const over = {
          licensor: "Ada's Voices",
          license_type: "time_bound",
          license_expires_at: "2020-01-01T00:00:00.000Z"
        }
        const given = yield* license(voice, over)
        assert.equal(given.status, 200, given.bytes.toString())
        const expected = {
          licensor: "Ada's Voices",
          type: "time_bound",
          expires_at: "2020-01-01T00:00:00.000Z",
          character_cap: null,
          characters_used: 0
        }
        assert.deepEqual(given.json.data.license, expected)
        assert.deepEqual(yield* shown(voice), expected)

        yield* idle
        const asked = node.requests.length
        const refused = yield* speak(voice)
        assert.equal(refused.status, 403)
        assert.equal(refused.json.error.code, "SCAISPEAK_VOICE_LICENSE_EXPIRED")
        assert.equal(refused.json.error.details[0].field, "voice_id")
        yield* idle
        assert.equal(node.requests.length, asked, "nothing was dispatched")

        assert.equal((yield* license(voice, { license_expires_at: "2999-01-01T00:00:00.000Z" })).status, 200)
        assert.equal((yield* speak(voice)).status, 200)
        assert.equal((yield* license(voice, { license_type: "perpetual" })).json.data.license.expires_at, null)
        assert.equal((yield* speak(voice)).status, 200)
        const theirs = yield* send("PATCH", `${url}${globals}/${voice}`, { license_type: "perpetual" }, ada)
        assert.equal(theirs.json.error.code, "AUTHZ_PERMISSION_DENIED")
      }))

    it.effect("let through what fits of fifty calls at once, count it, and ask no backend for the rest", () =>
      Effect.gen(function*() {
        const { license, node, shown, speak } = yield* client
        const voice = "vox_scripted_say"
        const cap = 7 * text.length + 3
        yield* license(voice, { licensor: "Ada", license_type: "usage_bound", license_character_cap: cap })
        const asked = node.requests.length
        const replies = yield* Effect.forEach(Array.from({ length: 50 }), () => speak(voice), {
          concurrency: "unbounded"
        })
        yield* idle
        const codes = Map.groupBy(replies, ({ json, status }) => status === 200 ? "spoken" : json.error.code)
        assert.deepEqual([...codes].map(([code, all]) => [code, all.length]).sort(), [
          ["SCAISPEAK_VOICE_LICENSE_EXHAUSTED", 43],
          ["spoken", 7]
        ])
        assert.ok(replies.every(({ status }) => status === 200 || status === 403))
        assert.equal(node.requests.length, asked + 7)
        assert.equal((yield* shown(voice)).characters_used, 7 * text.length)
        yield* license(voice, { license_character_cap: cap + text.length })
        assert.equal((yield* speak(voice)).status, 200)
        assert.equal((yield* speak(voice)).status, 403)
        assert.equal((yield* shown(voice)).characters_used, 8 * text.length)
      }))

    it.effect("count an abandoned call whole, and nothing of one that failed before it was heard", () =>
      Effect.gen(function*() {
        const { context, license, listen, shown, speak } = yield* client
        const terms = { licensor: "Ada", license_type: "usage_bound", license_character_cap: 100 }
        for (const voice of ["vox_scripted_crash", "vox_scripted_forever"]) yield* license(voice, terms)
        const crashed = yield* speak("vox_scripted_crash")
        assert.equal(crashed.json.error.code, "SCAISPEAK_BACKEND_FAILED")
        yield* idle
        const { find } = Context.get(context, Licences)
        yield* until(
          find(VoiceId.make("vox_scripted_crash")),
          (licence) => licence?.charactersUsed === 0
        )
        const away = new AbortController()
        yield* listen("vox_scripted_forever", away.signal)
        assert.equal((yield* shown("vox_scripted_forever")).characters_used, text.length)
        away.abort()
        yield* idle
        assert.equal((yield* shown("vox_scripted_forever")).characters_used, text.length)
      }))

    it.effect("let a call that began before the end finish", () =>
      Effect.gen(function*() {
        const { license, listen, speak } = yield* client
        const voice = "vox_scripted_forever"
        const away = new AbortController()
        const response = yield* listen(voice, away.signal)
        assert.ok(response.body !== null)
        const ended = yield* license(voice, { license_expires_at: "2020-01-01T00:00:00.000Z" })
        assert.equal(ended.status, 200)
        assert.equal((yield* speak(voice)).status, 403)
        const reader = response.body.getReader()
        let bytes = 0
        while (bytes < 2 ** 22) bytes += (yield* Effect.promise(() => reader.read())).value?.length ?? assert.fail()
        away.abort()
        yield* idle
      }))

    it.effect("need what their type is bound by, and a global voice", () =>
      Effect.gen(function*() {
        const { license } = yield* client
        const fieldsOf = (terms: unknown, voice = "vox_scripted_cut") =>
          Effect.map(license(voice, terms), ({ json, status }) => {
            assert.equal(status, 422)
            return json.error.details.map(({ field }: { field: string }) => field)
          })
        assert.deepEqual(yield* fieldsOf({}), ["licensor", "license_type"])
        assert.deepEqual(yield* fieldsOf({ licensor: "Ada", license_type: "time_bound" }), ["license_expires_at"])
        assert.deepEqual(yield* fieldsOf({ licensor: "Ada", license_type: "usage_bound" }), ["license_character_cap"])
        assert.deepEqual(yield* fieldsOf({ license_type: "rented" }), ["license_type"])
        assert.deepEqual(yield* fieldsOf({ license_character_cap: 0 }), ["license_character_cap"])
        assert.deepEqual(yield* fieldsOf({ license_cap: 5 }), ["license_cap"])
        const absent = yield* license("vox_none", { licensor: "Ada", license_type: "perpetual" })
        assert.equal(absent.json.error.code, "SCAISPEAK_VOICE_NOT_FOUND")
      }))

    it.effect("come with a new voice of the relay, by a form", () =>
      Effect.gen(function*() {
        const { ada, admin, shown, url } = yield* client
        const form = (fields: Record<string, string | Blob>, key = admin) =>
          Effect.promise(async () => {
            const body = new FormData()
            for (const [field, value] of Object.entries(fields)) body.append(field, value)
            const headers = { authorization: `Bearer ${key}` }
            const response = await fetch(`${url}${globals}`, { method: "POST", headers, body })
            const json: any = await response.json()
            return { status: response.status, json, fields: json.error?.details?.map(({ field }: any) => field) }
          })
        const alloy = { relay_speaker: "alloy", display_name: "Alloy", language_primary: "en" }
        const licensed = { licensor: "Ada", license_type: "usage_bound", license_character_cap: "500" }
        const tags = { style_tags_json: "[\"calm\"]", language_supported_json: "[\"en\",\"de\"]" }
        const made = yield* form({ ...alloy, ...licensed, ...tags })
        assert.equal(made.status, 201, JSON.stringify(made.json))
        const { backends, license, scope, style_tags, voice_id } = made.json.data
        assert.deepEqual([scope, style_tags, backends], ["global", ["calm"], { A: false, B: true }])
        assert.equal(license.character_cap, 500)
        assert.deepEqual(yield* shown(voice_id), license)
        assert.equal((yield* form(alloy)).json.data.license, null)

        assert.equal((yield* form(alloy, ada)).json.error.code, "AUTHZ_PERMISSION_DENIED")
        const zeros = new Blob([new Uint8Array(100_000)], { type: "audio/wav" })
        for (const field of ["reference", "license_document"]) {
          const refused = yield* form({ ...alloy, [field]: zeros })
          assert.deepEqual([refused.status, refused.fields], [422, ["licensor", "license_type"]])
        }
        const silent = yield* form({ ...alloy, ...licensed, reference: zeros })
        assert.deepEqual([silent.json.error.code, silent.fields], ["SCAISPEAK_AUDIO_UNDECODABLE", ["reference"]])
        const empty = yield* form({ ...alloy, ...licensed, license_document: new Blob([]) })
        assert.deepEqual([empty.status, empty.fields], [422, ["license_document"]])
        assert.deepEqual((yield* form({})).fields, ["reference", "display_name", "language_primary"])
        assert.deepEqual((yield* form({ ...alloy, license_type: "perpetual" })).fields, ["licensor"])
        assert.deepEqual((yield* form({ ...alloy, license_character_cap: "many" })).fields, ["license_character_cap"])
        assert.deepEqual((yield* form({ ...alloy, colour: "red" })).fields, ["colour"])
        assert.deepEqual((yield* form({ ...alloy, style_tags_json: "[" })).fields, ["style_tags_json"])
        assert.deepEqual((yield* form({ ...alloy, description: "x".repeat(2001) })).fields, ["description"])
        assert.equal((yield* form({ ...alloy, description: "x".repeat(100_000) })).status, 413)
        const cut = yield* send(
          "POST",
          `${url}${globals}`,
          "--b\r\nContent-Disposition: form-data; name=\"x\"",
          admin,
          {
            "content-type": "multipart/form-data; boundary=b"
          }
        )
        assert.equal(cut.json.error.code, "VALIDATION_ERROR")
      }))

    it.effect(
      "stand for the consent of whoever a global voice follows, with the signed document",
      () =>
        Effect.gen(function*() {
          const { ada, admin, context, node, speak, url } = yield* client
          const all = `${url}${globals}`
          const document = Buffer.from("%PDF-1.7 signed")
          const form = {
            reference: clip,
            reference_text: "What she said.",
            display_name: "Licensed Ada",
            language_primary: "en",
            licensor: "Ada Lovelace",
            license_type: "perpetual",
            license_document: document
          }
          const bad = yield* submit(all, { ...form, reference: consentClip.subarray(0, 44 + 32_000) }, admin)
          assert.deepEqual([bad.status, bad.json.error.code], [422, "SCAISPEAK_VOICE_PREFLIGHT_FAILED"])
          const made = yield* submit(all, form, admin)
          assert.equal(made.status, 201, `${made.bytes}`)
          const { consent, kind, license, reference, scope, voice_id } = made.json.data
          assert.deepEqual([scope, kind, consent, license.licensor], ["global", "cloned", null, "Ada Lovelace"])
          const listed = yield* get(`${url}/voices?q=licensed`, ada)
          assert.deepEqual(listed.json.data.items, [made.json.data], "its licence is in lists, too")

          const asked = node.requests.length
          assert.equal((yield* speak(voice_id)).status, 200)
          yield* idle
          const { voice } = node.requests[asked]!
          assert.ok(voice?.$case === "reference")
          assert.equal(voice.value.transcript, "What she said.")
          const followed = yield* get(`${url}/voices/${voice_id}/reference`, admin)
          assert.equal(createHash("sha256").update(followed.bytes).digest("hex"), reference.sha256)
          assert.equal((yield* get(`${url}/voices/${voice_id}/reference`, ada)).status, 404)

          const at = `${all}/${voice_id}/license/document`
          const signed = yield* get(at, admin)
          assert.deepEqual(
            [signed.status, signed.headers.get("content-type"), signed.headers.get("x-content-type-options")],
            [200, "application/pdf", "nosniff"]
          )
          assert.match(signed.headers.get("content-disposition")!, /^attachment/u)
          assert.deepEqual(signed.bytes, document)
          assert.equal((yield* get(at, ada)).json.error.code, "AUTHZ_PERMISSION_DENIED")
          const none = yield* get(`${all}/vox_scripted_mute/license/document`, admin)
          assert.deepEqual([none.status, none.json.error.code], [404, "SCAISPEAK_LICENSE_DOCUMENT_NOT_FOUND"])

          const blobs = Effect.map(
            Effect.orDie(Stream.runCollect(Context.get(context, ObjectStore).list(`scaispeak/voices/${voice_id}/`))),
            (all) => all.map(({ key }) => key.split("/")[3]).sort()
          )
          const change = (changes: Form) => submit(`${all}/${voice_id}`, changes, admin, {}, "PATCH")
          const wrong = yield* change({ license_type: "time_bound", license_document: document })
          assert.deepEqual([wrong.status, wrong.json.error.details[0].field], [422, "license_expires_at"])
          assert.deepEqual((yield* get(at, admin)).bytes, document)
          const renewed = yield* change({ licensor: "Heirs of Ada", license_document: Buffer.from("scanned") })
          assert.equal(renewed.json.data?.license.licensor, "Heirs of Ada", `${renewed.bytes}`)
          const second = yield* get(at, admin)
          assert.deepEqual([second.bytes.toString(), second.headers.get("content-type")], [
            "scanned",
            "application/octet-stream"
          ])
          assert.deepEqual(yield* blobs, ["clips", "licence", "original"], "the former document is gone")
          assert.equal((yield* change({ licensor: "Ada Again" })).json.data.license.licensor, "Ada Again")
          assert.equal((yield* get(at, admin)).bytes.toString(), "scanned")

          assert.equal((yield* send("DELETE", `${all}/${voice_id}`, "", admin)).status, 202)
          yield* until(blobs, ({ length }) => length === 0)
          assert.equal((yield* get(at, admin)).status, 404)
          const sql = Context.get(context, SqlClient.SqlClient)
          assert.deepEqual(yield* Effect.orDie(sql`SELECT 1 FROM pending_blobs`), [])
        }),
      30_000
    )
  })
}
