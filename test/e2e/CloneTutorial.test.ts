/**
 * The life of a cloned voice as the tutorial tells it: the program on the servers of a real installation, with its own
 * engine, and a person's real recordings. At the end every table, object, key and file is looked through for what is hers.
 */
import { ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3"
import { it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { Redis } from "ioredis"
import { createConnection } from "mysql2/promise"
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { granted } from "../../src/domain/Permission.ts"
import type { Permission, Role } from "../../src/domain/Permission.ts"
import { ApiKeys } from "../../src/services/ApiKeys.ts"
import { Database } from "../../src/services/Database.ts"
import { Signals } from "../../src/services/Signals.ts"
import { join16, readLibrivox, readWav } from "../engine/fit/clips.ts"
import { submit } from "../http/Cloning/forms.ts"
import { stores } from "../layers/stores.ts"
import { get, send, until } from "../layers/TestServer.ts"
import { serve } from "../programs/Server.ts"
import { distractors, harvardSentences } from "../recogniser/harvard.ts"
import { recognise, wordErrorRate, wordsOf } from "../recogniser/Recogniser.ts"
import { wavOf } from "../services/ClipNormaliser/wav.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-clone-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const utterances = readLibrivox()
const sentence = harvardSentences[0]!
const errorRateMax = 0.4

/** A reader of LibriVox: 16 s to follow, and a sentence that stands for her consent. */
const clips = {
  reference: wavOf({
    coding: "s16",
    sampleRate: 16_000,
    channels: [Array.from(join16(utterances.slice(1).map(({ file }) => readWav(file))), (value) => value / 32_768)]
  }),
  consent: readFileSync(utterances[0]!.file)
}
/** What tells of her, in letters that SQL, JSON and files hold as they are. */
const told = {
  display_name: "Elinor of Barton",
  description: "Read by firelight",
  consent_user_full_name: "Elinor Dashwood Ferrars",
  consent_stated_purpose: "bedtime stories for Margaret",
  consent_text: utterances[0]!.text
}

/** Where docs/erasure.md leaves an erased voice's id, and the SHA-256 of its clip so that no cache keeps it. */
const idsIn = ["audit_log", "consent_events", "consents", "erasure_audit", "erasures", "usage_records", "voices"]
const hashesIn = ["erased_clips", "erasures"]

/** As `scaispeak keys create` does. */
const keys = (databaseUrl: string) =>
  Effect.map(
    Layer.build(ApiKeys.layer.pipe(Layer.provide([Database.layer(Redacted.make(databaseUrl)), Signals.layer]))),
    (context) => (tenant: string, user: string, role: Role, permissions: ReadonlyArray<Permission>) =>
      Effect.map(
        Context.get(context, ApiKeys).create({
          name: user,
          owner: { tenantId: TenantId.make(tenant), userId: UserId.make(user), role },
          permissions
        }),
        ({ key }) => Redacted.value(key)
      )
  )

const valueOf = async (redis: Redis, key: string) => {
  const type = await redis.type(key)
  if (type === "string") return redis.get(key)
  const value = type === "hash"
    ? redis.hgetall(key)
    : type === "set"
    ? redis.smembers(key)
    : type === "zset"
    ? redis.zrange(key, "0", "-1")
    : redis.lrange(key, 0, -1)
  return JSON.stringify(await value)
}

/** Everything that is stored, by where it lies: rows as JSON, objects by key, Redis keys with their values, files. */
const allStored = (env: Record<string, string>, dataDir: string) =>
  Effect.promise(async () => {
    const stored: Array<readonly [where: string, what: string]> = []
    const sql = await createConnection(env.SCAISPEAK_DATABASE_URL!)
    const [tables] = await sql.query<any>("SHOW TABLES")
    for (const table of tables.flatMap(Object.values)) {
      const [rows] = await sql.query<any>(`SELECT * FROM \`${table}\``)
      const text = (_: string, value: any) => value?.type === "Buffer" ? Buffer.from(value).toString("latin1") : value
      for (const row of rows) stored.push([`table ${table}`, JSON.stringify(row, text)])
    }
    await sql.end()
    const s3 = new S3Client({
      endpoint: env.SCAISPEAK_S3_ENDPOINT!,
      region: env.SCAISPEAK_S3_REGION!,
      forcePathStyle: true,
      credentials: {
        accessKeyId: env.SCAISPEAK_S3_ACCESS_KEY_ID!,
        secretAccessKey: env.SCAISPEAK_S3_SECRET_ACCESS_KEY!
      }
    })
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: env.SCAISPEAK_S3_BUCKET! }))
    for (const { Key } of Contents) stored.push(["object", Key!])
    s3.destroy()
    const redis = new Redis(env.SCAISPEAK_REDIS_URL!)
    for (const key of await redis.keys("*")) {
      stored.push(["redis", `${key} ${await valueOf(redis, key)}`])
    }
    redis.disconnect()
    for (const entry of await readdir(dataDir, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name)
      stored.push(["file", `${path} ${entry.isFile() ? await readFile(path, "latin1") : ""}`])
    }
    return stored
  })

it.live(
  "a voice is cloned, heard, shared, revoked and erased, and nothing of it is left",
  () =>
    Effect.gen(function*() {
      const [env, dataDir] = [yield* stores[1]![1], yield* folder]
      const server = yield* serve({
        ...env,
        SCAISPEAK_PORT: "0",
        SCAISPEAK_GRPC_PORT: "0",
        SCAISPEAK_DATA_DIR: dataDir,
        SCAISPEAK_CONSENT_ALIGNMENT: "require"
      })
      const { url } = server
      const makeKey = yield* keys(env.SCAISPEAK_DATABASE_URL!)
      const user = [
        "scaispeak:synthesize",
        "scaispeak:voice.read",
        "scaispeak:voice.write",
        "scaispeak:voice.share"
      ] as const
      const owner = yield* makeKey("acme", "elinor", "tenant_user", user)
      const colleague = yield* makeKey("acme", "colleague", "tenant_user", user)
      const outsider = yield* makeKey("globex", "outsider", "tenant_user", user)
      const admin = yield* makeKey("acme", "admin", "tenant_admin", granted.tenant_admin)

      const measured = yield* submit(`${url}/voices/preflight`, { reference: clips.reference }, owner)
      assert.equal(measured.json.data.passed, true, JSON.stringify(measured.json))

      const form = { ...clips, ...told, language_primary: "en" }
      const misread = yield* submit(`${url}/voices`, { ...form, consent_text: utterances[3]!.text }, owner)
      assert.deepEqual([misread.status, misread.json.error.details[0].field], [422, "consent"])
      const made = yield* submit(`${url}/voices`, form, owner, { "idempotency-key": "elinor-1" })
      assert.equal(made.status, 201, JSON.stringify(made.json))
      const { reference: { sha256 }, voice_id } = made.json.data
      const at = `${url}/voices/${voice_id}`
      const speak = (key: string, headers = {}) =>
        send("POST", `${url}/speak`, { text: sentence, voice_id, response_format: "pcm" }, key, headers)

      const heard = yield* speak(owner, { "idempotency-key": "elinor-2" })
      assert.equal(heard.status, 200, heard.bytes.toString())
      const pcm = Int16Array.from({ length: heard.bytes.length >> 1 }, (_, n) => heard.bytes.readInt16LE(2 * n))
      const words = wordsOf(sentence)
      const vocabulary = [...harvardSentences.flatMap(wordsOf), ...distractors]
      const said = yield* Effect.promise(() => recognise(pcm, vocabulary))
      assert.ok(wordErrorRate(words, said) <= errorRateMax, said.join(" "))

      assert.equal((yield* get(at, colleague)).status, 404)
      assert.equal((yield* send("POST", `${at}/share`, {}, owner)).status, 200)
      const seen = yield* get(at, colleague)
      assert.deepEqual([seen.status, seen.json.data.display_name], [200, told.display_name])
      assert.equal((yield* speak(colleague)).status, 200)
      assert.equal((yield* send("POST", `${at}/warm`, {}, colleague)).status, 200)
      assert.equal((yield* get(`${at}/reference`, colleague)).status, 404, "her recordings are not his to hear")
      assert.equal((yield* get(at, outsider)).status, 404)
      assert.equal((yield* speak(outsider)).status, 404)

      // The search below finds what there is to be found.
      const secrets = [...Object.values(told), voice_id, sha256]
      const hits = (stored: Effect.Success<ReturnType<typeof allStored>>) =>
        stored.flatMap(([where, what]) =>
          secrets.filter((secret) => what.includes(secret)).map((it) => `${where}: ${it}`)
        )
      const stored = yield* allStored(env, dataDir)
      const before = hits(stored)
      for (
        const expected of [
          ...Object.values(told).map((it) =>
            it === told.display_name || it === told.description ? `table voices: ${it}` : `table consent_details: ${it}`
          ),
          `object: ${voice_id}`,
          `redis: ${voice_id}`,
          `file: ${sha256}`
        ]
      ) assert.ok(before.includes(expected), `${expected} is among ${before.join("\n")}`)

      const scored = stored.find(([where]) => where === "table consent_details")!
      const { score } = JSON.parse(JSON.parse(scored[1]).alignment_json)
      assert.ok(score >= 0.92 && score <= 1, "how well she says it is kept with her consent")

      assert.equal((yield* send("POST", `${at}/consent/revoke`, {}, owner)).json.data.consent.status, "revoked")
      for (const key of [owner, colleague]) {
        assert.equal((yield* speak(key)).json.error.code, "SCAISPEAK_VOICE_NOT_READY")
      }

      const erased = yield* send("DELETE", at, "", owner)
      assert.equal(erased.status, 202)
      const erasure = `${url}/admin/erasure/${erased.json.data.erasure_id}`
      yield* until(get(erasure, admin), ({ json }) => json.data.status === "done")
      assert.deepEqual((yield* get(`${erasure}/verify`, admin)).json.data.left, [])
      for (const key of [owner, colleague, outsider]) {
        assert.equal((yield* get(at, key)).status, 404)
        assert.equal((yield* speak(key)).status, 404)
      }
      const left = yield* allStored(env, dataDir)
      assert.deepEqual(left.filter(([where]) => where === "object"), [])
      // Ids and hashes for those who have to account for it, and nothing that tells of her.
      assert.deepEqual(
        new Set(hits(left)),
        new Set([...idsIn.map((it) => `table ${it}: ${voice_id}`), ...hashesIn.map((it) => `table ${it}: ${sha256}`)])
      )
      for (const secret of Object.values(told)) assert.ok(!server.output().includes(secret), `${secret} is in no log`)
    }),
  60_000
)
