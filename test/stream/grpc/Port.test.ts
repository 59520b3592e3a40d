/** What else is at the gRPC port: voices, jobs, health, reflection; and how all of it ends. */
import { it, layer } from "@effect/vitest"
import { credentials, status } from "@grpc/grpc-js"
import type { ServiceError } from "@grpc/grpc-js"
import { Context, Effect, Exit, Fiber, Layer, Logger, Scope } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { VoiceId } from "../../../src/domain/Ids.ts"
import { HealthCheckResponse_ServingStatus, HealthClient } from "../../../src/proto/grpc/health/v1/health.ts"
import type { HealthCheckResponse } from "../../../src/proto/grpc/health/v1/health.ts"
import { ServerReflectionClient } from "../../../src/proto/grpc/reflection/v1/reflection.ts"
import type { ServerReflectionRequest } from "../../../src/proto/grpc/reflection/v1/reflection.ts"
import * as wire from "../../../src/proto/scaispeak/v1/speak.ts"
import { encode } from "../../../src/services/sql/VoiceRow.ts"
import { GrpcServer } from "../../../src/stream/GrpcServer.ts"
import { consented } from "../../layers/consented.ts"
import { get, send, TestServer, until } from "../../layers/TestServer.ts"
import { voice } from "../../layers/voices.ts"
import { audited, bearer, clientOf, collect, connected, frame, saying } from "./Client.ts"
import { jobRecord, voiceRecord } from "./records.ts"

const { NOT_SERVING, SERVICE_UNKNOWN, SERVING } = HealthCheckResponse_ServingStatus

/** The reply of a call that has one, or why it has none. */
const replyOf = <A>(call: (reply: (error: ServiceError | null, answer: A) => void) => unknown) =>
  Effect.callback<{ readonly error: ServiceError | null; readonly answer: A }>((resume) => {
    call((error, answer) => resume(Effect.succeed({ error, answer })))
  })

const healthOf = (address: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new HealthClient(address, credentials.createInsecure())),
    (client) => Effect.sync(() => client.close())
  )

layer(TestServer.layer(), { excludeTestServices: true })("the gRPC port", (it) => {
  it.effect("ListVoices takes the filters and the cursor", () =>
    Effect.gen(function*() {
      const { client, token } = yield* connected
      const list = (request: Partial<wire.ListVoicesRequest>) =>
        Effect.map(
          replyOf<wire.ListVoicesResponse>((reply) =>
            client.listVoices(wire.ListVoicesRequest.fromPartial(request as never), bearer(token), reply)
          ),
          ({ answer, error }) => ({
            names: answer?.voices.map(({ voiceId }) => voiceId) ?? [],
            next: answer?.nextCursor,
            code: error?.code
          })
        )
      const first = yield* list({ limit: 2 })
      assert.equal(first.names.length, 2)
      const second = yield* list({ limit: 2, cursor: first.next })
      assert.equal(new Set([...first.names, ...second.names]).size, 4)
      assert.deepEqual((yield* list({ q: "steady" })).names, ["vox_scripted_steady"])
      assert.deepEqual((yield* list({ scope: wire.VoiceScope.USER })).names, [])
      for (const wrong of [{ limit: 500 }, { limit: 0 }, { cursor: "?" }, { gender: "none" }, { kind: 9 as never }]) {
        assert.equal((yield* list(wrong)).code, status.INVALID_ARGUMENT, JSON.stringify(wrong))
      }
    }))

  it.effect("a voice shows what its record over HTTP shows", () =>
    Effect.gen(function*() {
      const server = yield* connected
      const { client, context, token, url } = server
      const cloned = yield* consented(server, "say", {
        defaults: { speed: 1.25, instructions: "calm", cfgValue: 2.5, warmupTrimMs: 30 },
        ageHint: "old",
        styleTags: ["warm"],
        statusReason: "as told",
        relaySpeaker: "nova",
        designPrompt: "a calm reader",
        reference: { sha256: "a".repeat(64), durationMs: 9000, objectKey: "clip.wav", transcript: "Nobody is told." }
      })
      const licensed = "vox_scripted_words"
      const admin = yield* server.key("default", "root", "super_admin")
      const terms = {
        licensor: "Ada's Voices",
        license_type: "usage_bound",
        license_character_cap: 1000,
        license_expires_at: "2099-01-01T00:00:00.000Z"
      }
      const { status } = yield* send("PATCH", `${url}/admin/voices/global/${licensed}`, terms, admin)
      assert.equal(status, 200)
      const sql = Context.get(context, SqlClient.SqlClient)
      yield* Effect.orDie(sql`INSERT INTO voices ${sql.insert(encode(voice({ voiceId: VoiceId.make("vox_plain") })))}`)
      const { answer } = yield* replyOf<wire.ListVoicesResponse>((reply) =>
        client.listVoices(wire.ListVoicesRequest.fromPartial({ limit: 200 } as never), bearer(token), reply)
      )
      for (const id of [cloned, licensed, "vox_plain"]) {
        const shown = answer.voices.find(({ voiceId }) => voiceId === id)
        const { json } = yield* get(`${url}/voices/${id}`, token)
        assert.deepEqual(voiceRecord(shown!), json.data, id)
      }
    }))

  it.effect("GetJob tells its owner where a job stands, and nobody else that there is one", () =>
    Effect.gen(function*() {
      const { client, key, token, url } = yield* connected
      const body = { text: "One. Two.", voice_id: "vox_scripted_say", response_format: "wav", force_async: true }
      const { json } = yield* send("POST", `${url}/speak`, body, token)
      const find = (jobId: string, who = token, id = "") =>
        replyOf<wire.GetJobResponse>((reply) =>
          client.getJob({ jobId }, bearer(who, id === "" ? {} : { "x-request-id": id }), reply)
        )
      const jobId: string = json.data.job_id
      const { answer } = yield* until(
        find(jobId, token, "job-mine"),
        ({ answer }) => answer.job!.status === wire.JobStatus.COMPLETED
      )
      const reply = yield* get(`${url}/speak/jobs/${jobId}`, token)
      const { audio_duration_ms, audio_url, callback: _, ...record } = reply.json.data
      assert.deepEqual([audio_url !== null, audio_duration_ms], [true, answer.job!.audioMs])
      assert.deepEqual(jobRecord(answer.job!), record)
      const others = [
        [jobId, yield* key("acme", "eve", "tenant_admin"), status.NOT_FOUND, "SCAISPEAK_JOB_NOT_FOUND"],
        [jobId, yield* key("globex", "ada", "tenant_admin"), status.NOT_FOUND, "SCAISPEAK_JOB_NOT_FOUND"],
        [jobId, yield* key("acme", "vic", "tenant_viewer"), status.PERMISSION_DENIED, "AUTHZ_PERMISSION_DENIED"],
        [jobId, "sgk_nobody", status.UNAUTHENTICATED, "AUTH_TOKEN_INVALID"],
        ["job_1", token, status.NOT_FOUND, "SCAISPEAK_JOB_NOT_FOUND"]
      ] as const
      for (const [id, who, code, name] of others) {
        const { error } = yield* find(id, who)
        assert.deepEqual([error?.code, error?.metadata.get("scaispeak-error-code")], [code, [name]])
      }
      const rows = yield* until(audited("grpc.getJob"), ({ length }) => length > others.length)
      const mine = rows.find((row) => row.request_id === "job-mine")
      assert.deepEqual([mine?.outcome, mine?.resource_id], ["allowed", jobId])
      assert.deepEqual(rows.slice(-4).map(({ outcome }) => outcome), ["failed", "failed", "denied", "failed"])
    }))

  it.effect("health needs no token, knows its services and takes so many watchers", () =>
    Effect.gen(function*() {
      const { address } = yield* connected
      const health = yield* healthOf(address)
      const check = (service: string) =>
        Effect.map(
          replyOf<HealthCheckResponse>((reply) => health.check({ service }, reply)),
          ({ answer, error }) => answer?.status ?? error?.code
        )
      assert.equal(yield* check(""), SERVING)
      assert.equal(yield* check("scaispeak.v1.SpeakService"), SERVING)
      assert.equal(yield* check("else"), status.NOT_FOUND)
      const watch = (service: string) => {
        const call = health.watch({ service })
        const first = new Promise<number>((resolve) => {
          call.once("data", (answer: HealthCheckResponse) => resolve(answer.status))
          call.once("error", (error: ServiceError) => resolve(-error.code))
        })
        return { call, first: Effect.promise(() => first) }
      }
      const [unknown, ...others] = Array.from({ length: 64 }, (_, i) => watch(i === 0 ? "else" : ""))
      assert.equal(yield* unknown!.first, SERVICE_UNKNOWN)
      for (const { first } of others) assert.equal(yield* first, SERVING)
      assert.equal(yield* watch("").first, -status.RESOURCE_EXHAUSTED)
      for (const { call } of [unknown!, ...others]) call.on("error", () => {}).cancel()
      yield* until(Effect.suspend(() => watch("").first), (said) => said === SERVING)
    }))

  it.effect("reflection names what is here, and refuses what is none of it", () =>
    Effect.gen(function*() {
      const { address } = yield* connected
      const client = yield* Effect.acquireRelease(
        Effect.sync(() => new ServerReflectionClient(address, credentials.createInsecure())),
        (client) => Effect.sync(() => client.close())
      )
      const ask = Effect.fnUntraced(function*(...requests: ReadonlyArray<ServerReflectionRequest["messageRequest"]>) {
        const call = client.serverReflectionInfo()
        for (const messageRequest of requests) call.write({ host: "", messageRequest })
        call.end()
        const { error, events } = yield* collect(call)
        return { error, answers: events.map(({ messageResponse }) => messageResponse) }
      })
      const symbols = [
        "Open",
        "SpeakService.Stream",
        "Voice.license",
        "AUDIO_FORMAT_MP3",
        "SpeakEvent.event",
        "Nothing"
      ]
      const { answers } = yield* ask(
        { $case: "listServices", value: "*" },
        { $case: "fileByFilename", value: "scaiinfer/v1/heartbeat.proto" },
        ...symbols.map((name) => ({ $case: "fileContainingSymbol", value: `scaispeak.v1.${name}` }) as const),
        { $case: "allExtensionNumbersOfType", value: "scaispeak.v1.Open" }
      )
      const listed = answers[0]
      assert.ok(listed?.$case === "listServicesResponse")
      assert.deepEqual(listed.value.service.map((service: { name: string }) => service.name), [
        "scaispeak.v1.SpeakService",
        "scaiinfer.v1.HeartbeatService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection"
      ])
      // With what it imports.
      const files = answers.slice(1).map((answer) =>
        answer?.$case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto.length : answer?.$case
      )
      assert.deepEqual(files, [2, 1, 1, 1, 1, 1, "errorResponse", "errorResponse"])
      const long = yield* ask({ $case: "fileContainingSymbol", value: "a".repeat(5000) })
      assert.equal(long.error?.code, status.RESOURCE_EXHAUSTED)
    }))
})

it.live("a stop: no call is taken, health says so, what runs gets its time and is then told", () =>
  Effect.gen(function*() {
    const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
    const context = yield* Layer.build(TestServer.layer({ SCAISPEAK_DRAIN_MS: "1500" })).pipe(Scope.provide(scope))
    const server = Context.get(context, TestServer)
    const token = yield* server.key("acme", "ada", "tenant_admin")
    const { address } = Context.get(server.context, GrpcServer)
    const client = yield* clientOf(address)
    const health = yield* healthOf(address)
    const said: Array<number> = []
    health.watch({ service: "" }).on("data", ({ status }) => said.push(status)).on("error", () => {})
    const endless = yield* Effect.forkChild(collect(client.speak(saying("steady"), bearer(token))))
    const session = client.stream(bearer(token))
    session.write(frame("open", { voiceId: "vox_scripted_spell" }))
    session.write(frame("text", { delta: "What is buffered is spoken." }))
    const live = yield* Effect.forkChild(collect(session))
    yield* until(server.counters, ({ holds, nodeCalls }) => holds === 2 && nodeCalls > 0)
    yield* until(Effect.sync(() => said), ({ length }) => length === 1)

    const startedAt = performance.now()
    const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
    const refused = yield* until(
      Effect.suspend(() => collect(client.speak(saying("say"), bearer(token)))),
      ({ error }) => error !== undefined
    )
    assert.equal(refused.error?.code, status.UNAVAILABLE)
    assert.deepEqual(refused.error?.metadata.get("scaispeak-error-code"), ["SCAISPEAK_SHUTTING_DOWN"])
    const checked = yield* replyOf<HealthCheckResponse>((reply) => health.check({ service: "" }, reply))
    assert.equal(checked.answer.status, NOT_SERVING)

    const spoken = yield* Fiber.join(live)
    assert.deepEqual(spoken.error?.metadata.get("scaispeak-error-code"), ["SCAISPEAK_SHUTTING_DOWN"])
    assert.equal(spoken.events.at(-1)?.frame?.$case, "error", "the session has said it too")

    const cut = yield* Fiber.join(endless)
    const lastedMs = performance.now() - startedAt
    assert.equal(cut.error?.code, status.UNAVAILABLE)
    assert.deepEqual(cut.error?.metadata.get("scaispeak-error-code"), ["SCAISPEAK_SHUTTING_DOWN"])
    assert.ok(lastedMs > 1400, `it got ${lastedMs} ms`)
    yield* Fiber.join(closing)
    assert.deepEqual(said, [SERVING, NOT_SERVING])
  }).pipe(Effect.scoped, Effect.provide(Logger.layer([]))))
