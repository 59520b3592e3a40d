/** Voices made of clips that lie in ScaiDrive or behind a link: a real issuer that exchanges tokens, a real ScaiDrive. */
import { layer } from "@effect/vitest"
import { Context, Effect, Layer, Logger, References, Stream } from "effect"
import { decodeJwt } from "jose"
import assert from "node:assert/strict"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import { TestServer, until } from "../layers/TestServer.ts"
import { type Drive, startDrive } from "../servers/Drive.ts"
import { client, type Oidc, startOidc } from "../servers/oidc.ts"
import { clip, clone, consentClip, design, type Form, formData, submit } from "./Cloning/forms.ts"

class Outside
  extends Context.Service<Outside, { readonly oidc: Oidc; readonly drive: Drive; readonly stranger: Drive }>()(
    "test/Outside"
  )
{
  static readonly layer = Layer.effect(
    Outside,
    Effect.gen(function*() {
      const oidc = yield* Effect.acquireRelease(Effect.promise(startOidc), (it) => Effect.promise(() => it.stop()))
      const host = Effect.acquireRelease(
        Effect.promise(() => startDrive(oidc.issuer)),
        ({ stop }) => Effect.promise(stop)
      )
      return { oidc, drive: yield* host, stranger: yield* host }
    })
  )
}

const lines: Array<string> = []
const Logs = Layer.merge(
  Logger.layer([Logger.make((entry) => {
    lines.push(Logger.formatJson.log(entry))
  })]),
  Layer.succeed(References.MinimumLogLevel, "All")
)

const Service = Layer.unwrap(
  Effect.map(Outside, ({ drive, oidc, stranger }) =>
    TestServer.layer({
      SCAISPEAK_SCAIKEY_ISSUER: oidc.issuer,
      SCAISPEAK_SCAIKEY_CLIENT_ID: client.id,
      SCAISPEAK_SCAIKEY_CLIENT_SECRET: client.secret,
      SCAISPEAK_SCAIDRIVE_URL: `${drive.url}/`,
      SCAISPEAK_SCAIDRIVE_AUDIENCE: drive.audience,
      SCAISPEAK_OUTBOUND_ALLOW: new URL(stranger.url).host,
      SCAISPEAK_UPLOAD_LIMIT_BYTES: "400000"
    }, Logs))
).pipe(Layer.provideMerge(Outside.layer))

const token = (sub: string, claims: Record<string, unknown> = {}) =>
  Effect.flatMap(
    Outside,
    ({ oidc }) =>
      Effect.promise(() =>
        oidc.token({
          claims: { sub, tenant_id: "acme", role: "tenant_user", ...claims },
          scope: "scaispeak:voice.write"
        })
      )
  )

const from = (part: "reference" | "consent", reference: unknown): Form => ({
  ...clone,
  [part]: undefined,
  [`${part}_scaidrive_json`]: JSON.stringify(reference)
})
const post = (form: Form, key: string, headers?: Record<string, string>) =>
  Effect.flatMap(TestServer, ({ url }) => submit(`${url}/voices`, form, key, headers))
const refused = (form: Form, key: string) => Effect.map(post(form, key), ({ json }) => json.error)

layer(Service, { excludeTestServices: true })("clips from ScaiDrive", (it) => {
  it.effect("a voice is made of the caller's files, read with a token for ScaiDrive that is exchanged once", () =>
    Effect.gen(function*() {
      const { drive, oidc } = yield* Outside
      const { context } = yield* TestServer
      drive.files.set("ada/clip-1", clip).set("ada/agree_2", consentClip).set("bob/clip-1", Buffer.from("Bob's"))
      const ada = yield* token("ada")
      const before = yield* Effect.promise(oidc.exchanges)
      const made = yield* post({
        ...from("reference", { file_id: "clip-1" }),
        consent: undefined,
        consent_scaidrive_json: `{"mcp_uri":"mcp://scaidrive/files/agree_2"}`
      }, ada)
      assert.equal(made.status, 201, JSON.stringify(made.json))
      const again = yield* post(from("consent", { mcp_uri: "scaidrive://files/agree_2" }), ada)
      assert.equal(again.status, 201)
      assert.equal((yield* Effect.promise(oidc.exchanges)) - before, 1, "kept until shortly before its end")
      const keys = yield* Effect.orDie(Stream.runCollect(
        Context.get(context, ObjectStore).list(`scaispeak/voices/${made.json.data.voice_id}/`)
      ))
      assert.equal(keys.length, 3, "the original, the normalised clip and the consent")
      for (const { authorization } of drive.seen) {
        const { act, aud, sub } = decodeJwt(authorization!.slice("Bearer ".length))
        assert.deepEqual([aud, sub, act], [drive.audience, "ada", { sub: client.id }])
      }
    }))

  it.effect("a token that is about to end is not used again", () =>
    Effect.gen(function*() {
      const { oidc } = yield* Outside
      const ada = yield* token("ada", { exchanged_seconds: 20 })
      const before = yield* Effect.promise(oidc.exchanges)
      for (let n = 0; n < 2; n++) yield* refused(from("reference", { file_id: "none" }), ada)
      assert.equal((yield* Effect.promise(oidc.exchanges)) - before, 2)
    }))

  it.effect("what cannot be had is told by field", () =>
    Effect.gen(function*() {
      const { drive } = yield* Outside
      const { key } = yield* TestServer
      const [ada, eve] = [yield* token("ada"), yield* token("eve", { exchange: false })]
      const apiKey = yield* key("acme", "ada", "tenant_admin")
      drive.files.set("ada/large", Buffer.alloc(400_001))
      drive.links.set("/share/broken", (_, response) => response.writeHead(503).end())
      const cases: ReadonlyArray<readonly [unknown, string, string, string]> = [
        [{ file_id: "other" }, ada, "VALIDATION_ERROR", "is no file that you have in ScaiDrive"],
        [{ file_id: "large" }, ada, "PAYLOAD_TOO_LARGE", "is larger than 400000 bytes"],
        [{ file_id: "clip-1" }, eve, "VALIDATION_ERROR", "ScaiKey does not let you use ScaiDrive"],
        [{ file_id: "clip-1" }, apiKey, "VALIDATION_ERROR", "needs a user's token, not an API key"],
        [{ mcp_uri: "scaidrive://files/clip-1" }, apiKey, "VALIDATION_ERROR", "needs a user's token, not an API key"],
        [{ share_url: `${drive.url}/share/broken` }, apiKey, "VALIDATION_ERROR", "has an address that is not https"],
        [
          { share_url: "https://127.0.0.1/x" },
          ada,
          "VALIDATION_ERROR",
          "has an address that does not lead to a public host"
        ],
        [
          { share_url: "https://localhost/x" },
          ada,
          "VALIDATION_ERROR",
          "has an address that does not lead to a public host"
        ],
        [{ share_url: "http://169.254.169.254/x" }, ada, "VALIDATION_ERROR", "has an address that is not https"]
      ]
      for (const [reference, who, code, message] of cases) {
        const error = yield* refused(from("reference", reference), who)
        const details = [{ field: "reference_scaidrive_json", message }]
        assert.deepEqual([error.code, error.details], [code, details], JSON.stringify(reference))
      }
      const broken = yield* refused(from("reference", { share_url: `${drive.url}/share/broken` }), ada)
      assert.equal(broken.code, "SCAISPEAK_STORAGE_UNAVAILABLE")
    }))

  it.effect("references are strict, and a clip comes in one way", () =>
    Effect.gen(function*() {
      const { drive } = yield* Outside
      const ada = yield* token("ada")
      drive.seen.length = 0
      for (
        const reference of [
          {},
          { file_id: "a", mcp_uri: "scaidrive://files/a" },
          { file_id: "../../admin" },
          { file_id: "a/b" },
          { file_id: "a?x" },
          { file_id: "" },
          { file_id: 1 },
          { mcp_uri: "scaidrive://other/a" },
          { mcp_uri: "scaidrive://files/a/../b" },
          { mcp_uri: "mcp://evil/files/a" },
          { path: "/a" },
          "a"
        ]
      ) {
        const error = yield* refused(from("reference", reference), ada)
        assert.equal(error.code, "VALIDATION_ERROR", JSON.stringify(reference))
        assert.match(error.details[0].field, /^reference_scaidrive_json/u)
      }
      const twice = yield* refused({ ...from("reference", { file_id: "clip-1" }), reference: clip }, ada)
      assert.deepEqual(twice.details, [{
        field: "reference_scaidrive_json",
        message: "is one clip too many beside reference"
      }])
      const designed = yield* refused({ ...design, reference_scaidrive_json: `{"file_id":"clip-1"}` }, ada)
      assert.match(designed.details[0].message, /does not go with voice_design_prompt/u)
      assert.deepEqual(drive.seen, [])
    }))

  it.effect("links at ScaiDrive get the token, strangers never do, nor does a redirect to one", () =>
    Effect.gen(function*() {
      const { drive, stranger } = yield* Outside
      const ada = yield* token("ada")
      drive.links.set("/share/1", (_, response) => response.end(clip))
      drive.links.set("/share/2", (_, response) => response.writeHead(302, { location: `${stranger.url}/clip` }).end())
      stranger.links.set("/clip", (_, response) => response.end(clip))
      drive.seen.length = 0
      for (const share_url of [`${drive.url}/share/1`, `${drive.url}/share/2`, `${stranger.url}/clip`]) {
        const made = yield* post(from("reference", { share_url }), ada)
        assert.equal(made.status, 201, JSON.stringify(made.json))
      }
      assert.equal(drive.seen.every(({ authorization }) => authorization !== undefined), true)
      assert.deepEqual(stranger.seen.map(({ authorization }) => authorization), [undefined, undefined])
    }))

  it.effect("a replay fetches nothing, and a caller who hangs up ends the fetching", () =>
    Effect.gen(function*() {
      const { drive, stranger } = yield* Outside
      const { url } = yield* TestServer
      const ada = yield* token("ada")
      const form = from("reference", { file_id: "clip-1" })
      const first = yield* post(form, ada, { "idempotency-key": "one" })
      const fetched = drive.seen.length
      const second = yield* post(form, ada, { "idempotency-key": "one" })
      assert.deepEqual(second.json.data, first.json.data)
      assert.equal(drive.seen.length, fetched)
      let gone = false
      stranger.links.set("/slow", (_, response) => {
        response.write(clip.subarray(0, 1000))
        response.on("close", () => gone = true)
      })
      const aborter = new AbortController()
      const asked = fetch(`${url}/voices`, {
        method: "POST",
        headers: { authorization: `Bearer ${ada}` },
        body: formData(from("reference", { share_url: `${stranger.url}/slow` })),
        signal: aborter.signal
      }).catch(() => undefined)
      yield* until(Effect.sync(() => stranger.seen.at(-1)?.url), (last) => last === "/slow")
      aborter.abort()
      yield* Effect.promise(() => asked)
      yield* until(Effect.sync(() => gone), (it) => it)
    }))

  it.effect("no token and no secret of theirs is in a log line", () =>
    Effect.gen(function*() {
      const { drive } = yield* Outside
      const ada = yield* token("ada")
      yield* refused(from("reference", { file_id: "nowhere" }), ada)
      const secrets = [
        ada,
        client.secret,
        ...drive.seen.map(({ authorization }) => authorization!.slice("Bearer ".length))
      ]
      assert.ok(secrets.length > 2 && lines.length > 0)
      for (const secret of secrets) assert.ok(!lines.some((line) => line.includes(secret)))
    }))
})

layer(TestServer.layer(), { excludeTestServices: true })("without a ScaiDrive", (it) => {
  it.effect("its files are refused by field", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const ada = yield* key("acme", "ada", "tenant_admin")
      const { json, status } = yield* submit(`${url}/voices`, from("reference", { file_id: "a" }), ada)
      assert.equal(status, 422)
      assert.deepEqual(json.error.details, [{
        field: "reference_scaidrive_json",
        message: "this server has no ScaiDrive"
      }])
    }))
})
