/** The public gRPC service over a scripted node, by a real client on loopback. */
import { layer } from "@effect/vitest"
import { credentials, Metadata, status } from "@grpc/grpc-js"
import type { ClientReadableStream, ServiceError } from "@grpc/grpc-js"
import { Context, Effect } from "effect"
import assert from "node:assert/strict"
import { connect } from "node:http2"
import { HealthCheckResponse_ServingStatus, HealthClient } from "../../../src/proto/grpc/health/v1/health.ts"
import {
  AudioFormat,
  ClientFrame,
  SpeakRequest,
  SpeakServiceClient,
  StreamCodec,
  Timestamps
} from "../../../src/proto/scaispeak/v1/speak.ts"
import type { ServerFrame, SpeakEvent } from "../../../src/proto/scaispeak/v1/speak.ts"
import { GrpcServer } from "../../../src/stream/GrpcServer.ts"
import { spoken } from "../../layers/ScriptedNode.ts"
import { idle, TestServer, until } from "../../layers/TestServer.ts"

const connected = Effect.gen(function*() {
  const server = yield* TestServer
  const { address } = Context.get(server.context, GrpcServer)
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => new SpeakServiceClient(address, credentials.createInsecure())),
    (client) => Effect.sync(() => client.close())
  )
  return { ...server, address, client, token: yield* server.key("acme", "ada", "tenant_admin") }
})

const bearer = (token: string, more: Record<string, string> = {}) => {
  const metadata = new Metadata()
  metadata.set("authorization", `Bearer ${token}`)
  for (const [key, value] of Object.entries(more)) metadata.set(key, value)
  return metadata
}

const saying = (voice: string, more: Partial<SpeakRequest> = {}) =>
  SpeakRequest.fromPartial({
    voiceId: `vox_scripted_${voice}`,
    text: "Anything.",
    responseFormat: AudioFormat.PCM,
    ...more
  })

/** All events of a call, and how it ended. */
const collect = <A>(call: ClientReadableStream<A>) =>
  Effect.promise(() =>
    new Promise<{ events: Array<A>; error: ServiceError | undefined; head: Metadata | undefined }>((resolve) => {
      const events: Array<A> = []
      let head: Metadata | undefined
      call.on("metadata", (metadata) => (head = metadata)).on("data", (event: A) => events.push(event))
      call.on("error", (error: ServiceError) => resolve({ events, error, head }))
      call.on("end", () => setImmediate(() => resolve({ events, error: undefined, head })))
    })
  )

const kinds = (events: ReadonlyArray<SpeakEvent>) => [...new Set(events.map(({ event }) => event?.$case))]

layer(TestServer.layer({ SCAISPEAK_STALL_MS: "500" }), { excludeTestServices: true })("SpeakService", (it) => {
  it.effect("Speak gives header, audio byte for byte, words and done, and the request id back", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const request = saying("words", { timestamps: Timestamps.WORD })
      const { error, events, head } = yield* collect(client.speak(request, bearer(token, { "x-request-id": "mine-1" })))
      assert.equal(error, undefined)
      assert.deepEqual(head?.get("x-request-id"), ["mine-1"])
      assert.deepEqual(kinds(events).toSorted(), ["audio", "done", "header", "words"])
      assert.equal(events[0]?.event?.$case, "header")
      assert.deepEqual(events.at(-1)?.event, { $case: "done", value: { audioDurationMs: 1500 } })
      const audio = events.flatMap(({ event }) => event?.$case === "audio" ? [event.value] : [])
      assert.ok(Buffer.concat(audio).equals(spoken))
    }))

  it.effect("refuses with status, code and request id, and has dispatched nothing", () =>
    Effect.gen(function*() {
      const { client, key, node, token } = yield* connected
      const viewer = yield* key("acme", "vic", "tenant_viewer")
      const before = node.requests.length
      const cases: ReadonlyArray<readonly [Metadata, SpeakRequest, status, string]> = [
        [new Metadata(), saying("say"), status.UNAUTHENTICATED, "AUTH_TOKEN_MISSING"],
        [bearer("sgk_nobody"), saying("say"), status.UNAUTHENTICATED, "AUTH_TOKEN_INVALID"],
        [bearer(viewer), saying("say"), status.PERMISSION_DENIED, "AUTHZ_PERMISSION_DENIED"],
        [bearer(token), saying("nobody"), status.NOT_FOUND, "SCAISPEAK_VOICE_NOT_FOUND"],
        [bearer(token), saying("say", { text: " " }), status.INVALID_ARGUMENT, "VALIDATION_ERROR"],
        [bearer(token), saying("say", { speed: 9 }), status.INVALID_ARGUMENT, "VALIDATION_ERROR"],
        [bearer(token), saying("say", { responseFormat: 99 as never }), status.INVALID_ARGUMENT, "VALIDATION_ERROR"],
        [bearer(token), saying("say", { tags: Array(50_000).fill("") }), status.INVALID_ARGUMENT, "VALIDATION_ERROR"]
      ]
      for (const [metadata, request, code, name] of cases) {
        const { error, events } = yield* collect(client.speak(request, metadata))
        assert.deepEqual([error?.code, error?.metadata.get("scaispeak-error-code")], [code, [name]])
        assert.match(String(error?.metadata.get("x-request-id")[0]), /^req_/u)
        assert.deepEqual(events, [])
      }
      assert.equal(node.requests.length, before)
      yield* idle
    }))

  it.effect("a backend that is full is UNAVAILABLE, with the seconds to wait", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const { error } = yield* collect(client.speak(saying("full"), bearer(token)))
      assert.equal(error?.code, status.UNAVAILABLE)
      assert.ok(Number(error?.metadata.get("scaispeak-retry-after")[0]) > 0)
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
      const session = connect(`http://${address}`)
      const message = SpeakRequest.encode(saying("forever")).finish()
      const head = Buffer.alloc(5)
      head.writeUInt32BE(message.length, 1)
      // The library's own client reads ahead.
      const call = session.request({
        ":method": "POST",
        ":path": "/scaispeak.v1.SpeakService/Speak",
        "content-type": "application/grpc",
        te: "trailers",
        authorization: `Bearer ${token}`
      })
      call.on("error", () => {})
      call.end(Buffer.concat([head, message]))
      yield* until(counters, ({ nodeCalls }) => nodeCalls === 1)
      yield* idle
      assert.ok(node.written() - before < 32 * 2 ** 20, `${node.written() - before} bytes`)
      session.destroy()
    }))

  it.effect("Stream carries a live session: open, text, half-close, closed", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const call = client.stream(bearer(token))
      const say = (frame: ClientFrame["frame"]) => call.write(ClientFrame.fromPartial({ frame } as never))
      say({ $case: "open", value: { voiceId: "vox_scripted_say", output: { codec: StreamCodec.PCM } } as never })
      say({ $case: "text", value: { delta: "One sentence." } })
      say({ $case: "flush", value: { id: "f1" } })
      call.end()
      const { error, events } = yield* collect(call)
      assert.equal(error, undefined)
      const names = events.map(({ frame }: ServerFrame) => frame?.$case)
      assert.equal(names[0], "ready")
      assert.equal(names.at(-1), "closed")
      assert.ok(names.includes("flushDone") && names.includes("segment") && names.includes("audio"), names.join())
      yield* idle
    }))

  it.effect("Stream refuses what does not begin with open, and ends a session over a bad frame", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const early = client.stream(bearer(token))
      early.write(ClientFrame.fromPartial({ frame: { $case: "text", value: { delta: "x" } } }))
      assert.equal((yield* collect(early)).error?.code, status.INVALID_ARGUMENT)
      const twice = client.stream(bearer(token))
      const open = ClientFrame.fromPartial({ frame: { $case: "open", value: { voiceId: "vox_scripted_say" } } })
      twice.write(open)
      twice.write(open)
      const { error, events } = yield* collect(twice)
      assert.deepEqual(error?.metadata.get("scaispeak-error-code"), ["VALIDATION_ERROR"])
      assert.equal(events.at(-1)?.frame?.$case, "error")
      yield* idle
    }))

  it.effect("a session whose call is cancelled is over", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const call = client.stream(bearer(token))
      call.write(ClientFrame.fromPartial({ frame: { $case: "open", value: { voiceId: "vox_scripted_forever" } } }))
      call.write(ClientFrame.fromPartial({ frame: { $case: "text", value: { delta: "One. Two. Three." } } }))
      call.once("data", () => call.cancel())
      assert.equal((yield* collect(call)).error?.code, status.CANCELLED)
      yield* idle
    }))

  it.effect("ListVoices takes the filters and the cursor", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const list = (request: object) =>
        Effect.callback<{ names: Array<string>; next: string | undefined; code: number | undefined }>((resume) => {
          client.listVoices(
            { scope: 0, kind: 0, embeddingStatus: 0, ...request } as never,
            bearer(token),
            (error, page) =>
              resume(Effect.succeed({
                names: page?.voices.map(({ voiceId }) => voiceId) ?? [],
                next: page?.nextCursor,
                code: error?.code
              }))
          )
        })
      const first = yield* list({ limit: 2 })
      assert.equal(first.names.length, 2)
      const second = yield* list({ limit: 2, cursor: first.next })
      assert.equal(new Set([...first.names, ...second.names]).size, 4)
      assert.deepEqual((yield* list({ q: "steady" })).names, ["vox_scripted_steady"])
      assert.equal((yield* list({ limit: 500 })).code, status.INVALID_ARGUMENT)
    }))

  it.effect("Health says SERVING, without a token", () =>
    Effect.gen(function*() {
      const { address } = yield* connected
      const health = new HealthClient(address, credentials.createInsecure())
      const reply = yield* Effect.callback<number | undefined>((resume) => {
        health.check({ service: "scaispeak.v1.SpeakService" }, (_, answer) => resume(Effect.succeed(answer?.status)))
      })
      assert.equal(reply, HealthCheckResponse_ServingStatus.SERVING)
      health.close()
    }))
})
