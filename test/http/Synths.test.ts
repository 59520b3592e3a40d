/** `GET /synths/{id}`: what became of a call, in words. */
import { layer } from "@effect/vitest"
import { Context, Effect } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { get, send, TestServer, until } from "../layers/TestServer.ts"

layer(TestServer.layer({ SCAISPEAK_BREAKER_FAILURES: "1000" }), { excludeTestServices: true })(
  "the record of a synthesis",
  (it) => {
    const speak = Effect.fnUntraced(function*(user: string, voice_id: string, body: Record<string, unknown> = {}) {
      const { key, url } = yield* TestServer
      const token = yield* key("acme", user, "tenant_user", ["scaispeak:synthesize"])
      const reply = yield* send("POST", `${url}/speak`, {
        text: "Anything.",
        voice_id,
        response_format: "pcm",
        ...body
      }, token)
      return { reply, token }
    })

    it.effect("tells how it was routed and what was ignored", () =>
      Effect.gen(function*() {
        const { url } = yield* TestServer
        const { reply, token } = yield* speak("ada", "vox_scripted_say", { seed: 3, tags: ["a"] })
        const id = reply.headers.get("x-scaispeak-synthesis-id")!
        const { json, status } = yield* get(`${url}/synths/${id}`, token)
        assert.equal(status, 200)
        const { created_at, first_audio_ms, request_id, total_ms, ...record } = json.data
        assert.ok(Date.now() - Date.parse(created_at) < 10_000 && total_ms >= first_audio_ms && request_id !== "")
        assert.deepEqual(record, {
          synthesis_id: id,
          user_id: "ada",
          voice_id: "vox_scripted_say",
          status: "completed",
          error_code: null,
          backend_used: "A",
          node_id: "scripted",
          engine: "scripted",
          model: "scripted 1",
          routing: [
            "A is chosen.",
            "B cannot serve the call: no relay is configured.",
            "Node scripted is asked: the only one ready."
          ],
          ignored_params: ["seed"],
          characters: 9,
          audio_duration_ms: 1500,
          tags: ["a"]
        })
      }))

    it.effect("tells what went wrong", () =>
      Effect.gen(function*() {
        const { context, url } = yield* TestServer
        const { reply, token } = yield* speak("ada", "vox_scripted_crash")
        assert.equal(reply.status, 502)
        const sql = Context.get(context, SqlClient.SqlClient)
        const find = sql<{ readonly synthesis_id: string }>`
          SELECT synthesis_id FROM usage_records WHERE request_id = ${reply.headers.get("x-request-id")}`
        const [row] = yield* until(Effect.orDie(find), (rows) => rows.length === 1)
        const { json } = yield* get(`${url}/synths/${row!.synthesis_id}`, token)
        assert.equal(json.data.status, "failed")
        assert.equal(json.data.error_code, "SCAISPEAK_BACKEND_FAILED")
        assert.equal(json.data.routing.at(-1), "A did not speak: SCAISPEAK_BACKEND_FAILED.")
      }))

    it.effect("is its caller's and the tenant's administrators', and absent for everybody else", () =>
      Effect.gen(function*() {
        const { key, url } = yield* TestServer
        const { reply } = yield* speak("ada", "vox_scripted_say")
        const at = `${url}/synths/${reply.headers.get("x-scaispeak-synthesis-id")}`
        assert.equal((yield* get(at, yield* key("acme", "root", "tenant_admin"))).status, 200)
        const strangers = [
          yield* key("acme", "bob", "tenant_user", ["scaispeak:synthesize"]),
          yield* key("globex", "root", "tenant_admin")
        ]
        for (const stranger of strangers) {
          const { json, status } = yield* get(at, stranger)
          assert.equal(status, 404)
          assert.equal(json.error.code, "SCAISPEAK_SYNTHESIS_NOT_FOUND")
        }
        assert.equal(
          (yield* get(`${url}/synths/nonsense`, strangers[0])).json.error.code,
          "SCAISPEAK_SYNTHESIS_NOT_FOUND"
        )
      }))
  }
)
