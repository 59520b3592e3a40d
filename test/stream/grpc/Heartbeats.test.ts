/** Nodes that no configuration names: they announce themselves, are used, and leave. */
import { layer } from "@effect/vitest"
import { credentials, Metadata, status } from "@grpc/grpc-js"
import type { ServiceError } from "@grpc/grpc-js"
import { Context, Effect, Exit, Layer, Logger, Redacted, Scope } from "effect"
import assert from "node:assert/strict"
import { NodeProgram } from "../../../src/engine/NodeProgram.ts"
import { GetInfoResponse } from "../../../src/proto/scaiinfer/v1/audio.ts"
import { HeartbeatServiceClient } from "../../../src/proto/scaiinfer/v1/heartbeat.ts"
import type { HeartbeatRequest } from "../../../src/proto/scaiinfer/v1/heartbeat.ts"
import { NodeRegistry } from "../../../src/services/NodeRegistry.ts"
import { GrpcServer } from "../../../src/stream/GrpcServer.ts"
import { get, send, TestServer, until } from "../../layers/TestServer.ts"

const gateway = Effect.map(TestServer, ({ context }) => Context.get(context, GrpcServer).address)

/** One heartbeat as it arrives; resolves with the status of its answer. */
const beat = Effect.fnUntraced(function*(request: Partial<HeartbeatRequest>, token?: string) {
  const address = yield* gateway
  const client = new HeartbeatServiceClient(address, credentials.createInsecure())
  const metadata = new Metadata()
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`)
  const answer = yield* Effect.callback<{ readonly code: status; readonly details: string; readonly next?: number }>(
    (resume) => {
      client.heartbeat(
        { address: "", info: undefined, ...request },
        metadata,
        (error: ServiceError | null, reply) =>
          resume(Effect.succeed(
            error
              ? { code: error.code, details: error.details }
              : { code: status.OK, details: "", next: reply.intervalMs }
          ))
      )
    }
  )
  client.close()
  return answer
})

const info = GetInfoResponse.fromPartial({ nodeId: "nobody", load: { capacity: 1, active: 0, queued: 0 } })

const node = (gateways: ReadonlyArray<string>, token?: string) =>
  NodeProgram.layer({
    host: "127.0.0.1",
    port: 0,
    nodeId: "announced",
    workers: 1,
    capacity: 4,
    queue: 0,
    drainMillis: 3000,
    heartbeats: {
      gateways,
      advertise: undefined,
      token: token === undefined ? undefined : Redacted.make(token)
    }
  }).pipe(Layer.provide(Logger.layer([])))

const admin = Effect.flatMap(TestServer, ({ key }) => key("default", "root", "super_admin"))
const listed = Effect.gen(function*() {
  const { url } = yield* TestServer
  const { json } = yield* get(`${url}/admin/nodes`, yield* admin)
  return json.data.items as Array<any>
})
const announced = Effect.map(listed, (nodes) => nodes.find(({ node_id }) => node_id === "announced"))

layer(TestServer.layer(), { excludeTestServices: true })("heartbeats on one machine", (it) => {
  it.effect("bring a node into use, and out of it when it leaves", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const scope = yield* Scope.make()
      const built = yield* Layer.buildWithScope(node([yield* gateway]), scope)
      const { address } = Context.get(built, NodeProgram)
      const record = yield* until(announced, (record) => record?.engines[0]?.voices.length > 0)
      assert.ok(Date.now() - Date.parse(record.last_heartbeat_at) < 5000)
      assert.deepEqual({ ...record, last_heartbeat_at: "", engines: [] }, {
        node_id: "announced",
        address,
        source: "heartbeat",
        tier: "healthy",
        circuit: "closed",
        draining: false,
        version: "0.1.0",
        engines: [],
        capacity: 4,
        active: 0,
        queued: 0,
        held_references: 0,
        last_heartbeat_at: ""
      })
      assert.equal(record.engines[0].engine, "flite")
      assert.equal(record.engines[0].state, "ready")
      assert.ok(record.engines[0].voices.includes("awb"))

      const speaker = yield* key("default", "ada", "tenant_admin")
      yield* until(get(`${url}/voices/vox_flite_kal16`, speaker), ({ status }) => status === 200)
      const spoken = yield* send("POST", `${url}/speak`, { text: "Hello.", voice_id: "vox_flite_kal16" }, speaker)
      assert.equal(spoken.status, 200)

      yield* Scope.close(scope, Exit.void)
      const after = yield* announced
      assert.ok(after.draining || after.tier === "stale", "it said so before it left")
      const refused = yield* send("POST", `${url}/speak`, { text: "Hello.", voice_id: "vox_flite_kal16" }, speaker)
      assert.equal(refused.json.error.code, "SCAISPEAK_BACKEND_UNAVAILABLE")
    }))

  it.effect("must say who they are and where", () =>
    Effect.gen(function*() {
      assert.deepEqual(yield* beat({ address: "127.0.0.1:9" }), {
        code: status.INVALID_ARGUMENT,
        details: "info: what the node can do is missing"
      })
      for (const address of ["", "nowhere", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "a b:1", "::1:5"]) {
        const { code, details } = yield* beat({ address, info })
        assert.equal(code, status.INVALID_ARGUMENT, address)
        assert.equal(details, "address: must be host:port")
      }
      assert.deepEqual(yield* beat({ address: "127.0.0.1:9", info }), { code: status.OK, details: "", next: 5000 })
    }))

  it.effect("from a node that listens everywhere are answered where they came from", () =>
    Effect.gen(function*() {
      yield* beat({ address: "0.0.0.0:19", info })
      yield* until(listed, (nodes) => nodes.some(({ address }) => address === "127.0.0.1:19"))
    }))

  it.effect("are nobody's business but a super admin's", () =>
    Effect.gen(function*() {
      const { key, url } = yield* TestServer
      const reply = yield* get(`${url}/admin/nodes`, yield* key("acme", "root", "tenant_admin"))
      assert.equal(reply.status, 403)
      assert.deepEqual(reply.json.error.details, [{ field: "permission", message: "super_admin" }])
    }))
})

layer(TestServer.layer({ SCAISPEAK_NODE_TOKEN: "between-us" }), { excludeTestServices: true })(
  "heartbeats with a shared token",
  (it) => {
    it.effect("are heard with it and refused without", () =>
      Effect.gen(function*() {
        for (const token of [undefined, "", "between-u", "between-us!"]) {
          assert.equal((yield* beat({ address: "127.0.0.1:9", info }, token)).code, status.UNAUTHENTICATED)
        }
        const { context } = yield* TestServer
        assert.equal(Context.get(context, NodeRegistry).nodes().length, 1, "the configured node alone")
        yield* Layer.build(node([yield* gateway], "between-us"))
        yield* until(announced, (record) => record?.tier === "healthy")
      }))
  }
)
