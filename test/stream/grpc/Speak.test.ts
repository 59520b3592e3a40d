/** `Speak` over a scripted node, by a real client on loopback: what comes, what is refused and how it is told, what ends. */
import { layer } from "@effect/vitest"
import { Metadata, status } from "@grpc/grpc-js"
import { Context, Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { AudioFormat, SpeakRequest, Timestamps } from "../../../src/proto/scaispeak/v1/speak.ts"
import type { SpeakEvent } from "../../../src/proto/scaispeak/v1/speak.ts"
import { consented } from "../../layers/consented.ts"
import { spoken } from "../../layers/ScriptedNode.ts"
import { idle, send, TestServer, until } from "../../layers/TestServer.ts"
import { audited, bearer, collect, connected, fieldsOf, framed, raw, saying, statusOf } from "./Client.ts"

const kinds = (events: ReadonlyArray<SpeakEvent>) => [...new Set(events.map(({ event }) => event?.$case))]
const bodyLimit = 32_768
const text = (bytes: unknown) => Buffer.from(bytes as Uint8Array).toString()

const env = { SCAISPEAK_STALL_MS: "1000", SCAISPEAK_BODY_LIMIT_BYTES: String(bodyLimit) }
layer(TestServer.layer(env), { excludeTestServices: true })("Speak", (it) => {
  it.effect("gives header, audio byte for byte, words and done, and the request id back", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const call = client.speak(
        saying("words", { timestamps: Timestamps.WORD }),
        bearer(token, { "x-request-id": "mine-1" })
      )
      const { error, events, head } = yield* collect(call)
      assert.equal(error, undefined)
      assert.deepEqual(head?.get("x-request-id"), ["mine-1"])
      assert.deepEqual(kinds(events).toSorted(), ["audio", "done", "header", "words"])
      assert.equal(events[0]?.event?.$case, "header")
      assert.deepEqual(events.at(-1)?.event, { $case: "done", value: { audioDurationMs: 1500 } })
      const audio = events.flatMap(({ event }) => event?.$case === "audio" ? [event.value] : [])
      assert.ok(Buffer.concat(audio).equals(spoken))
      const unasked = yield* collect(client.speak(saying("words"), bearer(token)))
      assert.deepEqual(kinds(unasked.events), ["header", "audio", "done"])
    }))

  it.effect("refuses with status, code and request id, and has dispatched nothing", () =>
    Effect.gen(function*() {
      const { client, key, node, token } = yield* connected
      const viewer = yield* key("acme", "vic", "tenant_viewer")
      const before = node.requests.length
      const invalid = [status.INVALID_ARGUMENT, "VALIDATION_ERROR"] as const
      const cases: ReadonlyArray<readonly [Metadata, SpeakRequest, status, string]> = [
        [new Metadata(), saying("say"), status.UNAUTHENTICATED, "AUTH_TOKEN_MISSING"],
        [bearer("sgk_nobody"), saying("say"), status.UNAUTHENTICATED, "AUTH_TOKEN_INVALID"],
        [bearer(viewer), saying("say"), status.PERMISSION_DENIED, "AUTHZ_PERMISSION_DENIED"],
        [bearer(token), saying("nobody"), status.NOT_FOUND, "SCAISPEAK_VOICE_NOT_FOUND"],
        [bearer(token), saying("say", { text: " " }), ...invalid],
        [bearer(token), saying("say", { speed: 9 }), ...invalid],
        [bearer(token), saying("say", { responseFormat: 99 as never }), ...invalid],
        [bearer(token), saying("say", { tags: Array(5000).fill("") }), ...invalid],
        [bearer(token), saying("say", { text: "a".repeat(bodyLimit) }), status.RESOURCE_EXHAUSTED, "PAYLOAD_TOO_LARGE"]
      ]
      for (const [metadata, request, code, name] of cases) {
        const { error, events } = yield* collect(client.speak(request, metadata))
        assert.deepEqual([error?.code, error?.metadata.get("scaispeak-error-code")], [code, [name]])
        assert.match(String(error?.metadata.get("x-request-id")[0]), /^req_/u)
        assert.deepEqual(events, [])
      }
      // Twice the limit is not even read.
      const huge = yield* collect(client.speak(saying("say", { text: "a".repeat(5 * bodyLimit) }), bearer(token)))
      assert.equal(huge.error?.code, status.RESOURCE_EXHAUSTED)
      assert.equal(node.requests.length, before)
      yield* idle
    }))

  it.effect("tells what does not fit, and how long to wait, as google.rpc has it", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const detailsOf = Effect.fnUntraced(function*(request: SpeakRequest) {
        const { error } = yield* collect(client.speak(request, bearer(token)))
        const [bytes] = error!.metadata.get("grpc-status-details-bin")
        const { 1: codes, 2: messages, 3: anys = [] } = fieldsOf(bytes as Buffer)
        const details = anys.map((any) => {
          const { 1: types, 2: values } = fieldsOf(any as Uint8Array)
          return [text(types?.[0]).replace("type.googleapis.com/google.rpc.", ""), fieldsOf(values![0] as Uint8Array)]
        })
        assert.deepEqual([codes, messages!.map(text)], [[error!.code], [error!.details]])
        return { details: Object.fromEntries(details) as Record<string, ReturnType<typeof fieldsOf>>, error: error! }
      })
      const { details: wrong, error } = yield* detailsOf(saying("say", { speed: 9, sampleRate: 1 }))
      const violations = wrong["BadRequest"]![1]!.map((bytes) => fieldsOf(bytes as Uint8Array))
      assert.deepEqual(violations.map(({ 1: field }) => text(field![0])).toSorted(), ["sample_rate", "speed"])
      assert.ok(violations.every(({ 2: reason }) => text(reason![0]).length > 0))
      assert.match(error.details, /sample_rate|speed/u)
      assert.deepEqual(wrong["ErrorInfo"]![1]!.map(text), ["VALIDATION_ERROR"])
      assert.deepEqual(wrong["ErrorInfo"]![2]!.map(text), ["scaispeak"])
      assert.equal(wrong["RetryInfo"], undefined)

      const { details: full, error: saturated } = yield* detailsOf(saying("full"))
      const [delay] = full["RetryInfo"]![1]!
      assert.equal(saturated.code, status.UNAVAILABLE)
      const wait = Number(saturated.metadata.get("scaispeak-retry-after")[0])
      assert.ok(wait > 0)
      assert.deepEqual(fieldsOf(delay as Uint8Array)[1], [wait])
    }))

  it.effect("what is no message is refused, with the service's own trailer", () =>
    Effect.gen(function*() {
      const { address, token } = yield* connected
      const { call } = yield* raw(address, "Speak", token, framed(Buffer.from([0xff, 0xff, 0xff])))
      const ended = yield* statusOf(call)
      assert.deepEqual([ended["grpc-status"], ended["scaispeak-error-code"]], ["3", "VALIDATION_ERROR"])
    }))

  it.effect("is one audit row a call: allowed, denied, failed, and none for nobody", () =>
    Effect.gen(function*() {
      const { client, key, token } = yield* connected
      const who = [token, yield* key("acme", "vic", "tenant_viewer"), "sgk_nobody"]
      const ids = who.map((_, i) => `audit-${i}`)
      for (const [i, one] of who.entries()) {
        yield* collect(client.speak(saying("say"), bearer(one, { "x-request-id": ids[i]! })))
      }
      yield* collect(client.speak(saying("nobody"), bearer(token, { "x-request-id": "audit-3" })))
      const rows = yield* until(
        Effect.map(audited("grpc.speak"), (rows) => rows.filter((row) => row.request_id.startsWith("audit-"))),
        ({ length }) => length === 3
      )
      assert.deepEqual(rows.map((row) => [row.request_id, row.outcome, row.resource_id, row.actor_user_id]), [
        ["audit-0", "allowed", "vox_scripted_say", "ada"],
        ["audit-1", "denied", null, "vic"],
        ["audit-3", "failed", "vox_scripted_nobody", "ada"]
      ])
    }))

  it.effect("a call that is cancelled, or whose deadline passes, leaves nothing", () =>
    Effect.gen(function*() {
      const { client, counters, token } = yield* connected
      const cancelled = client.speak(saying("forever", { responseFormat: AudioFormat.MP3 }), bearer(token))
      cancelled.once("data", () => cancelled.cancel())
      assert.equal((yield* collect(cancelled)).error?.code, status.CANCELLED)
      yield* idle
      for (const voice of ["steady", "mute"]) {
        const late = client.speak(saying(voice), bearer(token), { deadline: Date.now() + 400 })
        assert.equal((yield* collect(late)).error?.code, status.DEADLINE_EXCEEDED)
        yield* idle
      }
      assert.equal((yield* counters).nodeCalls, 0)
    }))

  it.effect("a client that does not read holds the engine back, and is let go of", () =>
    Effect.gen(function*() {
      const { address, counters, node, token } = yield* connected
      const before = node.written()
      yield* raw(address, "Speak", token, framed(SpeakRequest.encode(saying("forever")).finish()))
      yield* until(counters, ({ nodeCalls }) => nodeCalls === 1)
      yield* idle
      assert.ok(node.written() - before < 32 * 2 ** 20, `${node.written() - before} bytes`)
    }))

  it.effect("a deadline passes for a client that does not read as for any other", () =>
    Effect.gen(function*() {
      const { address, counters, token } = yield* connected
      const request = framed(SpeakRequest.encode(saying("forever")).finish())
      const startedAt = performance.now()
      const { call } = yield* raw(address, "Speak", token, request, { "grpc-timeout": "300m" })
      const reset = new Promise<number>((resolve) => call.once("close", () => resolve(call.rstCode)))
      yield* until(counters, ({ nodeCalls }) => nodeCalls === 1)
      yield* idle
      assert.ok(performance.now() - startedAt < 1000, "before its stall would have ended it")
      // What waits for the client is dropped, or its status would wait behind it.
      assert.notEqual(yield* Effect.promise(() => reset), 0)
    }))

  it.effect("a voice whose consent is taken back is silent at once, and the call says why", () =>
    Effect.gen(function*() {
      const server = yield* connected
      const voiceId = yield* consented(server, "steady")
      const running = yield* Effect.forkChild(collect(server.client.speak(saying(voiceId), bearer(server.token))))
      yield* until(server.counters, ({ nodeCalls }) => nodeCalls === 1)
      yield* revoke(server, voiceId)
      const { error, events } = yield* Fiber.join(running)
      assert.equal(error?.code, status.FAILED_PRECONDITION)
      assert.deepEqual(error?.metadata.get("scaispeak-error-code"), ["SCAISPEAK_VOICE_NOT_READY"])
      assert.ok(!kinds(events).includes("done"))
      yield* idle
    }))

  it.effect("what of it waits for a client that does not read is dropped", () =>
    Effect.gen(function*() {
      const server = yield* connected
      const voiceId = yield* consented(server, "forever")
      const request = framed(SpeakRequest.encode(saying(voiceId)).finish())
      const { call } = yield* raw(server.address, "Speak", server.token, request)
      const reset = new Promise<number>((resolve) => call.once("close", () => resolve(call.rstCode)))
      yield* until(server.counters, ({ nodeCalls }) => nodeCalls === 1)
      yield* Effect.sleep(200)
      yield* revoke(server, voiceId)
      assert.notEqual(yield* Effect.promise(() => reset), 0)
      yield* idle
      const sql = Context.get(server.context, SqlClient.SqlClient)
      const [row] = yield* until(
        sql`SELECT error_code FROM usage_records WHERE voice_id = ${voiceId}`,
        ({ length }) => length === 1
      )
      assert.equal(row!.error_code, "SCAISPEAK_VOICE_NOT_READY", "not that it was too slow")
    }))
})

const revoke = Effect.fnUntraced(
  function*({ token, url }: { readonly token: string; readonly url: string }, id: string) {
    const { status } = yield* send("POST", `${url}/voices/${id}/consent/revoke`, {}, token)
    assert.equal(status, 200)
  }
)
