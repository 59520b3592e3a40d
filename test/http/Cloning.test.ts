/** `POST /voices` as clients see it: voices cloned and designed, what of them is kept and where, and what is refused. */
import { layer } from "@effect/vitest"
import { Context, Effect, Stream } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { readdir } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { TenantId } from "../../src/domain/Ids.ts"
import type { ConsentId } from "../../src/domain/Ids.ts"
import { Consents } from "../../src/services/Consents.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { PendingBlobs } from "../../src/services/PendingBlobs.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer, until } from "../layers/TestServer.ts"
import { byFfmpeg } from "../services/AudioDecoder/encodings.ts"
import { wavOf } from "../services/ClipNormaliser/wav.ts"
import { clip, clone, consentClip, design, type Form, formData, spoken, submit } from "./Cloning/forms.ts"

const hex = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex")

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
    vic: yield* key("acme", "vic", "tenant_viewer")
  }
})

/** What of voices is kept anywhere: rows, blobs, intakes under way. */
const kept = Effect.gen(function*() {
  const { context } = yield* TestServer
  const sql = Context.get(context, SqlClient.SqlClient)
  const counts = yield* Effect.orDie(Effect.forEach(
    ["voices", "consents", "consent_details", "consent_events", "pending_blobs"],
    (table) => Effect.map(sql<{ n: number }>`SELECT COUNT(*) AS n FROM ${sql(table)}`, ([row]) => Number(row!.n))
  ))
  const blobs = yield* Effect.orDie(Stream.runCollect(Context.get(context, ObjectStore).list("scaispeak/voices/")))
  return { counts, blobs: blobs.map(({ key }) => key).sort() }
})

for (const [name, env] of stores) {
  const folder = mkdtempSync(join(tmpdir(), "scaispeak-cloning-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const settings = Effect.map(env, (env) => ({ ...env, SCAISPEAK_DATA_DIR: folder }))

  layer(TestServer.layer(settings), { excludeTestServices: true })(`making voices on ${name}`, (it) => {
    it.effect(
      "clones a voice that is ready at once, keeps what came, and speaks from the normalised clip",
      () =>
        Effect.gen(function*() {
          const { context, node, url } = yield* TestServer
          const { ada, bob, root } = yield* people
          const mp3 = byFfmpeg(clip, "-c:a libmp3lame -f mp3")
          const before = yield* kept
          const made = yield* submit(
            `${url}/voices`,
            {
              ...clone,
              reference: mp3,
              reference_text: " What Ada said. ",
              language_supported_json: `["nl","en"]`,
              gender_hint: "female",
              age_hint: "20s",
              style_tags_json: `["calm"]`,
              description: "Of the engine."
            },
            ada,
            { "user-agent": "tests/1" }
          )
          assert.equal(made.status, 201, `${made.bytes}`)
          const { created_at: _created, reference, updated_at: _updated, voice_id, ...record } = made.json.data
          assert.equal(made.headers.get("location"), `/v1/modules/scaispeak/voices/${voice_id}`)
          assert.deepEqual(record, {
            display_name: "Ada",
            description: "Of the engine.",
            scope: "user",
            kind: "cloned",
            language_primary: "en",
            language_supported: ["en", "nl"],
            gender: "female",
            age_hint: "20s",
            style_tags: ["calm"],
            embedding_status: "ready",
            status_reason: null,
            owner_user_id: "ada",
            tenant_id: "acme",
            defaults: {},
            backends: { A: true, B: false },
            relay_speaker: null,
            consent: { consent_id: record.consent.consent_id, status: "active", stated_purpose: "audiobooks" },
            license: null,
            voice_design_prompt: null
          })
          const at = `${url}/voices/${voice_id}`
          assert.deepEqual((yield* get(at, ada)).json.data, made.json.data)

          const after = yield* kept
          assert.deepEqual(after.counts.map((count, i) => count - before.counts[i]!), [1, 1, 1, 1, 0])
          assert.deepEqual(
            after.blobs.filter((key) => !before.blobs.includes(key)).map((key) => key.replace(/[0-9a-f-]{36}/u, "…")),
            ["clips/…/clip.wav", "consent/recording", "original/recording"].map((key) =>
              `scaispeak/voices/${voice_id}/${key}`
            )
          )

          const heard = yield* get(`${at}/reference`, ada)
          assert.deepEqual([heard.status, heard.headers.get("content-type")], [200, "audio/wav"])
          assert.equal(hex(heard.bytes), reference.sha256)
          assert.ok(Math.abs(heard.bytes.length - 44 - 10 * 32_000) < 3200, "10 s of 16 kHz, mono, 16 bits")
          const original = yield* get(`${at}/reference?original=true`, ada)
          assert.deepEqual([original.headers.get("content-type"), hex(original.bytes)], ["audio/mpeg", hex(mp3)])
          const said = yield* get(`${at}/consent/audio`, ada)
          assert.deepEqual([said.status, said.headers.get("content-type")], [200, "audio/wav"])
          assert.deepEqual(said.bytes, Buffer.from(consentClip))
          const part = yield* get(`${at}/consent/audio`, ada, { range: "bytes=4-7" })
          assert.deepEqual([part.status, part.bytes], [206, Buffer.from(consentClip.subarray(4, 8))])
          for (const path of ["/reference", "/consent/audio"]) {
            assert.equal((yield* get(`${at}${path}`, bob)).status, 404)
            assert.equal((yield* get(`${at}${path}`, root)).status, 404, "a user's voice is its owner's alone")
          }

          assert.equal((yield* send("POST", `${at}/share`, "", ada)).status, 200)
          for (const path of ["/reference", "/consent/audio"]) {
            const [colleague, administrator] = [yield* get(`${at}${path}`, bob), yield* get(`${at}${path}`, root)]
            assert.deepEqual(
              [colleague.status, administrator.status],
              [404, 200],
              "a shared one's, its administrators' too"
            )
          }

          const consent = yield* Effect.orDie(
            Context.get(context, Consents).find(TenantId.make("acme"), record.consent.consent_id as ConsentId)
          )
          const { audioKey, granted, ...details } = consent!.details!
          assert.equal(audioKey, `scaispeak/voices/${voice_id}/consent/recording`)
          assert.deepEqual(details, {
            fullName: "Ada Lovelace",
            statedPurpose: "audiobooks",
            text: clone["consent_text"],
            textSha256: hex(clone["consent_text"] as string),
            audioSha256: hex(consentClip),
            alignment: null
          })
          assert.deepEqual(granted, {
            userId: "ada",
            requestId: made.headers.get("x-request-id"),
            ip: "127.0.0.1",
            userAgent: "tests/1"
          })
          assert.equal((yield* get(`${url}/admin/consents/verify`, root)).json.data.intact, true)

          const asked = node.requests.length
          assert.equal((yield* send("POST", `${url}/speak`, { text: "Hello.", voice_id }, ada)).status, 200)
          yield* idle
          const { voice } = node.requests[asked]!
          assert.ok(voice?.$case === "reference")
          assert.equal(voice.value.transcript, "What Ada said.")
          assert.deepEqual(Buffer.from(voice.value.pcm), heard.bytes.subarray(44))
        }),
      30_000
    )

    it.effect("designs a voice from words alone", () =>
      Effect.gen(function*() {
        const { node, url } = yield* TestServer
        const { ada } = yield* people
        const made = yield* submit(`${url}/voices`, { ...design, display_name: " Bright ", style_tags_json: "[]" }, ada)
        assert.equal(made.status, 201, `${made.bytes}`)
        const { display_name, embedding_status, kind, scope, voice_design_prompt, voice_id } = made.json.data
        assert.deepEqual(
          { display_name, embedding_status, kind, scope, voice_design_prompt },
          {
            display_name: "Bright",
            embedding_status: "ready",
            kind: "designed",
            scope: "user",
            voice_design_prompt: design["voice_design_prompt"]
          }
        )
        const asked = node.requests.length
        assert.equal((yield* send("POST", `${url}/speak`, { text: "Hello.", voice_id }, ada)).status, 200)
        yield* idle
        assert.deepEqual(node.requests[asked]!.voice, { $case: "designPrompt", value: voice_design_prompt })
        assert.equal((yield* get(`${url}/voices/${voice_id}/consent/audio`, ada)).status, 404)
      }))

    it.effect("refuses what does not fit, naming each field, and keeps nothing of it", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada, vic } = yield* people
        const before = yield* kept
        const short = wavOf({ coding: "s16", sampleRate: 16_000, channels: [spoken.slice(0, 16_000)] })
        const silence = wavOf({ coding: "s16", sampleRate: 16_000, channels: [new Float64Array(160_000)] })
        const noise = Buffer.from("this is no sound at all")
        const both = Object.keys(clone).filter((name) => !(name in design))
        const cases: ReadonlyArray<readonly [form: Form, code: string, fields: ReadonlyArray<string>]> = [
          [{}, "VALIDATION_ERROR", [
            "consent",
            "consent_stated_purpose",
            "consent_text",
            "consent_user_full_name",
            "display_name",
            "language_primary",
            "reference"
          ]],
          [{ ...clone, ...design }, "VALIDATION_ERROR", both.toSorted()],
          [{ ...design, reference_text: "Hello." }, "VALIDATION_ERROR", ["reference_text"]],
          ...Object.keys(clone).map((name) => [{ ...clone, [name]: undefined }, "VALIDATION_ERROR", [name]] as const),
          ...["display_name", "language_primary"].map((name) =>
            [{ ...design, [name]: undefined }, "VALIDATION_ERROR", [name]] as const
          ),
          [{ ...clone, consent_text: " " }, "VALIDATION_ERROR", ["consent_text"]],
          [{ ...clone, reference_text: "x".repeat(2001) }, "VALIDATION_ERROR", ["reference_text"]],
          [{ ...clone, reference: "a path" }, "VALIDATION_ERROR", ["reference"]],
          [{ ...clone, display_name: clip }, "VALIDATION_ERROR", ["display_name"]],
          [{ ...clone, seed: "7" }, "VALIDATION_ERROR", ["seed"]],
          [{ ...design, voice_design_prompt: "🦜".repeat(9) }, "VALIDATION_ERROR", ["voice_design_prompt"]],
          [{ ...design, voice_design_prompt: "🦜".repeat(1001) }, "VALIDATION_ERROR", ["voice_design_prompt"]],
          [{ ...design, display_name: " " }, "VALIDATION_ERROR", ["display_name"]],
          [{ ...design, language_primary: "english" }, "VALIDATION_ERROR", ["language_primary"]],
          [{ ...design, gender_hint: "robot" }, "VALIDATION_ERROR", ["gender_hint"]],
          [{ ...design, style_tags_json: "calm" }, "VALIDATION_ERROR", ["style_tags_json"]],
          [{ ...design, language_supported_json: `["english"]` }, "VALIDATION_ERROR", ["language_supported_json.0"]],
          [{ ...clone, reference: noise }, "SCAISPEAK_AUDIO_UNDECODABLE", ["reference"]],
          [{ ...clone, consent: noise }, "SCAISPEAK_AUDIO_UNDECODABLE", ["consent"]],
          [{ ...clone, reference: short }, "SCAISPEAK_VOICE_PREFLIGHT_FAILED", ["reference"]],
          [{ ...clone, consent: short }, "SCAISPEAK_VOICE_PREFLIGHT_FAILED", ["consent"]],
          [
            { ...clone, consent: silence, reference: short },
            "SCAISPEAK_VOICE_PREFLIGHT_FAILED",
            ["consent", "reference"]
          ]
        ]
        for (const [form, code, fields] of cases) {
          const { json, status } = yield* submit(`${url}/voices`, form, ada)
          assert.deepEqual([status, json.error?.code], [422, code], JSON.stringify([fields, json]))
          const named: ReadonlyArray<string> = json.error.details.map(({ field }: { field: string }) => field)
          assert.deepEqual(named.toSorted(), fields, JSON.stringify(json.error))
          if (code !== "SCAISPEAK_VOICE_PREFLIGHT_FAILED") continue
          const { fail_reasons, metrics, passed } = json.error.preflight
          assert.deepEqual([passed, fail_reasons], [false, ["duration_below_minimum"]])
          assert.equal(metrics.duration_ms, 1000, "of the reference, when both fail")
        }
        const viewer = yield* submit(`${url}/voices`, design, vic)
        assert.deepEqual([viewer.status, viewer.json.error.code], [403, "AUTHZ_PERMISSION_DENIED"])
        assert.deepEqual(yield* kept, before)
      }), 30_000)

    it.effect("gives one Idempotency-Key one voice, told apart by files and fields", () =>
      Effect.gen(function*() {
        const { context, url } = yield* TestServer
        const { ada, bob } = yield* people
        const before = yield* kept
        const key = { "idempotency-key": "clone-1" }
        const make = (form: Form, by = ada) => submit(`${url}/voices`, form, by, key)
        const refused = yield* make({ ...clone, reference: Buffer.from("no sound") })
        assert.equal(refused.status, 422, "a refusal keeps no key")
        const replies = yield* Effect.all([make(clone), make(clone)], { concurrency: 2 })
        const first = replies.find(({ status }) => status === 201)!
        for (const reply of replies) {
          if (reply !== first && reply.status !== 201) {
            assert.deepEqual([reply.status, reply.json.error.code], [409, "SCAISPEAK_IDEMPOTENCY_CONFLICT"])
          }
        }
        const reversed = Object.fromEntries(Object.entries(clone).toReversed())
        const again = yield* make(reversed)
        assert.deepEqual([again.status, again.bytes], [201, first.bytes])
        assert.equal(again.headers.get("idempotent-replayed"), "true")
        assert.equal(again.headers.get("location"), first.headers.get("location"))
        for (const other of [{ ...clone, consent: clip }, { ...clone, description: "Another." }, design]) {
          const { json, status } = yield* make(other)
          assert.deepEqual([status, json.error.code], [409, "SCAISPEAK_IDEMPOTENCY_CONFLICT"])
          assert.deepEqual(json.error.details, [{ field: "Idempotency-Key", message: "other body" }])
        }
        assert.deepEqual(
          (yield* kept).counts.map((count, i) => count - before.counts[i]!),
          [1, 1, 1, 1, 0],
          "one voice, one consent"
        )
        assert.equal((yield* make(design, bob)).status, 201, "another user's key is another key")

        const sql = Context.get(context, SqlClient.SqlClient)
        const { voice_id } = first.json.data
        yield* Effect.orDie(sql`DELETE FROM voices WHERE voice_id = ${voice_id}`)
        yield* Context.get(context, VoiceRepo).invalidate(voice_id)
        const gone = yield* make(clone)
        assert.deepEqual([gone.status, gone.json.error.code], [404, "SCAISPEAK_VOICE_NOT_FOUND"])
      }), 30_000)

    it.effect("previews what a form asks for as what JSON asks for", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { ada } = yield* people
        const at = `${url}/voices/vox_scripted_say/preview`
        const asked = { text: "Anything.", response_format: "pcm" }
        const form = yield* submit(at, asked, ada)
        const json = yield* send("POST", at, asked, ada)
        assert.equal(form.status, 200, `${form.bytes}`)
        for (const field of ["text", "response_format", "audio_base64", "characters"]) {
          assert.deepEqual(form.json.data[field], json.json.data[field], field)
        }
        assert.equal((yield* submit(at, { response_format: "wav" }, ada)).json.data.text.startsWith("Hello"), true)
        for (
          const [form, field] of [[{ text: "x".repeat(301) }, "text"], [{ seed: "1" }, "seed"], [
            { text: clip },
            "text"
          ]] as const
        ) {
          const { json, status } = yield* submit(at, form, ada)
          assert.deepEqual([status, json.error.details[0].field], [422, field])
        }
      }))

    it.effect("takes a stored recording in anew, by the rules of intake", () =>
      Effect.gen(function*() {
        const { context, url } = yield* TestServer
        const { ada } = yield* people
        const objects = Context.get(context, ObjectStore)
        const made = yield* submit(`${url}/voices`, { ...clone, reference: byFfmpeg(clip, "-c:a flac -f flac") }, ada)
        const at = `${url}/voices/${made.json.data.voice_id}`
        const clips = Effect.map(kept, ({ blobs }) =>
          blobs.filter((key) => key.startsWith(`scaispeak/voices/${made.json.data.voice_id}/clips/`)))
        const [former] = yield* clips
        // The clip that was derived is lost; the recording is not.
        yield* Effect.orDie(objects.remove(former!))
        const again = yield* send("POST", `${at}/repromote`, "", ada)
        assert.deepEqual([again.status, again.json.data?.reference], [200, "cached"], `${again.bytes}`)
        const [renewed, ...others] = yield* clips
        assert.deepEqual(others, [])
        assert.notEqual(renewed, former)
        const record = (yield* get(at, ada)).json.data
        assert.deepEqual(record.reference, made.json.data.reference, "the same clip, bit for bit")
        assert.equal(hex((yield* get(`${at}/reference`, ada)).bytes), record.reference.sha256)

        const original = `scaispeak/voices/${made.json.data.voice_id}/original/recording`
        yield* Effect.orDie(objects.put(original, consentClip, { contentType: "audio/wav" }))
        const before = yield* kept
        const refused = yield* send("POST", `${at}/repromote`, "", ada)
        assert.deepEqual([refused.status, refused.json.error.code], [422, "SCAISPEAK_VOICE_PREFLIGHT_FAILED"])
        yield* Effect.orDie(objects.remove(original))
        const lost = yield* send("POST", `${at}/repromote`, "", ada)
        assert.deepEqual([lost.status, lost.json.error.code], [409, "SCAISPEAK_VOICE_NOT_READY"])
        assert.deepEqual((yield* kept).counts, before.counts)
        assert.equal(
          (yield* send("POST", `${url}/speak`, { text: "Hello.", voice_id: record.voice_id }, ada)).status,
          200
        )
        yield* idle
      }), 30_000)

    it.effect("leaves nothing of requests whose clients go away, whenever they do", () =>
      Effect.gen(function*() {
        const { context, url } = yield* TestServer
        const { ada } = yield* people
        const sql = Context.get(context, SqlClient.SqlClient)
        const leave = (afterMillis: number) =>
          Effect.promise(async () => {
            const signal = AbortSignal.timeout(Math.round(afterMillis))
            const headers = { authorization: `Bearer ${ada}` }
            await fetch(`${url}/voices`, { method: "POST", headers, body: formData(clone), signal })
              .then((response) => response.arrayBuffer(), () => undefined).catch(() => undefined)
          })
        const before = yield* kept
        const begun = performance.now()
        assert.equal((yield* submit(`${url}/voices`, clone, ada)).status, 201)
        const wholeMillis = performance.now() - begun
        // Most while it is stored, which is the last that is done.
        const moments = [0.1, 0.4, 0.7, 0.8, 0.85, 0.9, 0.95, 1].map((share) => share * wholeMillis)
        yield* Effect.forEach(moments, leave, { discard: true })

        const open = sql`SELECT 1 FROM pending_blobs WHERE state = 'open'`
        yield* until(Effect.orDie(open), (rows) => rows.length === 0)
        yield* until(Effect.promise(() => readdir(join(folder, "uploads"))), (names) => names.length === 0)
        const { blobs, counts: [voices, ...others] } = yield* kept
        const made = voices! - before.counts[0]!
        assert.ok(made >= 1 && made < 9, `${made} were made`)
        assert.equal(blobs.length - before.blobs.length, 3 * made)
        assert.deepEqual(others.slice(0, 3).map((count, i) => count - before.counts[i + 1]!), [made, made, made])
        // What a cut put may have left is swept a second time.
        for (const hours of [1.1, 2.2, 3.3]) {
          yield* Effect.orDie(Context.get(context, PendingBlobs).sweep(Date.now() + hours * 3_600_000))
        }
        const after = yield* kept
        assert.deepEqual([after.blobs, after.counts[4]], [blobs, 0])
      }), 30_000)
  })
}
