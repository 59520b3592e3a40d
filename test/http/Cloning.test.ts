/** `POST /voices` as clients see it: voices cloned and designed, what of them is kept and where, and what is refused. */
import { layer } from "@effect/vitest"
import { Context, Effect, Stream } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { TenantId } from "../../src/domain/Ids.ts"
import type { ConsentId } from "../../src/domain/Ids.ts"
import { Consents } from "../../src/services/Consents.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { stores } from "../layers/stores.ts"
import { get, idle, send, TestServer } from "../layers/TestServer.ts"
import { byFfmpeg } from "../services/AudioDecoder/encodings.ts"
import { wavOf } from "../services/ClipNormaliser/wav.ts"
import { clip, clone, consentClip, design, spoken, submit } from "./Cloning/forms.ts"

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
  layer(TestServer.layer(env), { excludeTestServices: true })(`making voices on ${name}`, (it) => {
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
          const { created_at, reference, updated_at, voice_id, ...record } = made.json.data
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
            audioSha256: hex(consentClip)
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
  })
}
