/** Bad input, each with its exact code, its field, and nothing dispatched. */
import { layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { get, idle, send, TestServer } from "../layers/TestServer.ts"
import { voice } from "../layers/voices.ts"

const good = { text: "Anything.", voice_id: "vox_scripted_say" }

layer(TestServer.layer({ SCAISPEAK_BODY_LIMIT_BYTES: "500000" }), { excludeTestServices: true })("refusals", (it) => {
  const refused = Effect.fnUntraced(function*(
    { headers = {}, method = "POST", path = "/speak", body = good, as = "speaker" }: {
      readonly method?: string
      readonly path?: string
      readonly body?: unknown
      readonly headers?: Record<string, string>
      readonly as?: "speaker" | "viewer" | "nobody" | "stranger"
    },
    status: number,
    code: string,
    fields?: ReadonlyArray<string>
  ) {
    const server = yield* TestServer
    const key = {
      speaker: yield* server.key("acme", "ada", "tenant_admin"),
      viewer: yield* server.key("acme", "vic", "tenant_viewer"),
      nobody: undefined,
      stranger: `sgk_${"x".repeat(43)}`
    }[as]
    const dispatched = server.node.requests.length
    const reply = yield* method === "GET"
      ? get(server.url + path, key, headers)
      : send(method, server.url + path, body, key, { "x-request-id": "my-id", ...headers })
    assert.equal(reply.status, status)
    assert.equal(reply.json.status, "error")
    assert.equal(reply.json.error.code, code)
    assert.equal(typeof reply.json.error.message, "string")
    assert.equal(reply.headers.get("x-request-id"), reply.json.meta.request_id)
    if (method !== "GET") assert.equal(reply.json.meta.request_id, "my-id")
    if (fields !== undefined) assert.deepEqual(reply.json.error.details.map(({ field }: any) => field), fields)
    assert.equal(server.node.requests.length, dispatched, "nothing was dispatched")
    yield* idle
    return reply
  })

  it.effect("no token", () => refused({ as: "nobody" }, 401, "AUTH_TOKEN_MISSING"))
  it.effect("a key of nobody", () => refused({ as: "stranger" }, 401, "AUTH_TOKEN_INVALID"))
  it.effect("a token of another scheme", () =>
    refused({ as: "nobody", headers: { authorization: "Basic YTpi" } }, 401, "AUTH_TOKEN_MISSING"))
  it.effect("a JWT while no issuer is configured", () =>
    refused({ as: "nobody", headers: { authorization: "Bearer eyJhbGciOiJub25lIn0.e30." } }, 401, "AUTH_TOKEN_INVALID"))
  it.effect("a caller who may not speak", () =>
    Effect.gen(function*() {
      const { json } = yield* refused({ as: "viewer" }, 403, "AUTHZ_PERMISSION_DENIED", ["permission"])
      assert.equal(json.error.details[0].message, "scaispeak:synthesize")
    }))
  it.effect("no token before the body is looked at", () =>
    refused({ as: "nobody", body: "{" }, 401, "AUTH_TOKEN_MISSING"))

  it.effect("a voice of nobody", () =>
    refused({ body: { ...good, voice_id: "vox_none" } }, 404, "SCAISPEAK_VOICE_NOT_FOUND"))
  it.effect("another tenant's voice and a colleague's own, in the very words for a voice of nobody", () =>
    Effect.gen(function*() {
      const { context, key, url } = yield* TestServer
      const sql = Context.get(context, SqlClient.SqlClient)
      const theirs = { kind: "cloned", preset: null, ownerUserId: UserId.make("bob") } as const
      const hidden = [
        voice({ ...theirs, voiceId: VoiceId.make("vox_globex"), scope: "tenant", tenantId: TenantId.make("globex") }),
        voice({ ...theirs, voiceId: VoiceId.make("vox_bobs"), scope: "user", tenantId: TenantId.make("acme") })
      ]
      for (const each of hidden) yield* sql`INSERT INTO voices ${sql.insert(encode(each))}`
      const ada = yield* key("acme", "ada", "tenant_admin")
      const same = { "x-request-id": "same" }
      const absent = yield* send("POST", `${url}/speak`, { ...good, voice_id: "vox_none" }, ada, same)
      for (const { voiceId } of hidden) {
        const spoken = yield* send("POST", `${url}/speak`, { ...good, voice_id: voiceId }, ada, same)
        assert.equal(spoken.status, 404)
        assert.deepEqual(spoken.json, absent.json)
        const seen = yield* get(`${url}/voices/${voiceId}`, ada, same)
        assert.deepEqual([seen.status, seen.json], [404, absent.json])
      }
      yield* idle
    }))
  it.effect("an unknown field", () => refused({ body: { ...good, vioce: 1 } }, 422, "VALIDATION_ERROR", ["vioce"]))
  it.effect("empty text", () => refused({ body: { ...good, text: "" } }, 422, "VALIDATION_ERROR", ["text"]))
  it.effect("100 001 characters", () =>
    refused({ body: { ...good, text: "a".repeat(100_001) } }, 422, "VALIDATION_ERROR", ["text"]))
  it.effect("a format and rate that do not fit", () =>
    refused({ body: { ...good, response_format: "opus", sample_rate: 44100 } }, 422, "VALIDATION_ERROR", [
      "sample_rate"
    ]))
  it.effect("several faults, each with its field", () =>
    refused({ body: { text: "", speed: 9 } }, 422, "VALIDATION_ERROR", ["text", "voice_id", "speed"]))
  it.effect("malformed JSON", () => refused({ body: "{\"text\":" }, 422, "VALIDATION_ERROR", ["body"]))
  it.effect("a body of another type", () =>
    refused({ body: "<speak/>", headers: { "content-type": "text/xml" } }, 415, "UNSUPPORTED_MEDIA_TYPE"))
  it.effect("a body over the limit", () =>
    refused({ body: { ...good, text: "a".repeat(600_000) } }, 413, "PAYLOAD_TOO_LARGE"))
  it.effect("an idempotency key that is none", () =>
    refused({ headers: { "idempotency-key": "a".repeat(256) } }, 422, "VALIDATION_ERROR", ["idempotency-key"]))
  it.effect("save_to with a key", () =>
    refused({ body: { ...good, save_to: { share_id: "s" } } }, 403, "SCAISPEAK_SAVE_TO_REQUIRES_JWT"))
  it.effect("what the engine cannot speak, by the caller's own field", () =>
    Effect.gen(function*() {
      const server = yield* TestServer
      const key = yield* server.key("acme", "ada", "tenant_admin")
      const reply = yield* send("POST", `${server.url}/speak`, { ...good, voice_id: "vox_scripted_refuse" }, key)
      assert.equal(reply.status, 422)
      assert.deepEqual(reply.json.error.details, [{ field: "language_hint", message: "only English is spoken" }])
      yield* idle
    }))

  it.effect("a wrong method, with the right ones", () =>
    Effect.gen(function*() {
      const { headers } = yield* refused({ method: "PUT" }, 405, "METHOD_NOT_ALLOWED")
      assert.equal(headers.get("allow"), "POST")
    }))
  it.effect("a route that is none", () => refused({ method: "GET", path: "/speach" }, 404, "NOT_FOUND"))
  it.effect("a query that does not fit", () =>
    refused({ method: "GET", path: "/voices?limit=0&scop=global" }, 422, "VALIDATION_ERROR", ["scop", "limit"]))
  it.effect("a cursor of nobody", () =>
    refused({ method: "GET", path: "/voices?cursor=zzz" }, 422, "VALIDATION_ERROR", ["cursor"]))
})
