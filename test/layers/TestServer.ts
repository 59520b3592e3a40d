/** The whole service in the tests' process, over a scripted node, on a free port; with its counters within reach. */
import { Context, Effect, Layer, Logger, Result } from "effect"
import { HttpServer } from "effect/http"
import * as Redacted from "effect/Redacted"
import assert from "node:assert/strict"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { decode } from "../../src/Config.ts"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { granted } from "../../src/domain/Permission.ts"
import type { Permission, Role } from "../../src/domain/Permission.ts"
import { mount } from "../../src/http/Api.ts"
import * as Server from "../../src/Server.ts"
import { Accounting } from "../../src/services/Accounting.ts"
import { ApiKeys } from "../../src/services/ApiKeys.ts"
import { AudioEncoder } from "../../src/services/AudioEncoder.ts"
import { RelayDispatcher } from "../../src/services/RelayDispatcher.ts"
import { ScaiInferDispatcher } from "../../src/services/ScaiInferDispatcher.ts"
import * as ScriptedNode from "./ScriptedNode.ts"

const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-test-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

export class TestServer extends Context.Service<TestServer, {
  /** With the module's mount. */
  readonly url: string
  readonly root: string
  readonly node: Effect.Success<typeof ScriptedNode.make>
  /** A key for a user, made if new. */
  readonly key: (
    tenant: string,
    user: string,
    role: Role,
    permissions?: ReadonlyArray<Permission>
  ) => Effect.Effect<string>
  /** Everything that a call may leave behind; zeros when nothing runs. */
  readonly counters: Effect.Effect<
    { holds: number; nodeCalls: number; relayCalls: number; encoders: number; engine: number }
  >
  /** What the service is made of, for tests that look inside. */
  readonly context: Context.Context<Layer.Success<ReturnType<typeof Server.layer>>>
}>()("test/TestServer") {
  static readonly layer = (
    env: Record<string, string> | Effect.Effect<Record<string, string>> = {},
    // What goes wrong here is asked for; a reader of the tests' output has no use for it.
    logs: Layer.Layer<never> = Logger.layer([])
  ) =>
    Layer.effect(
      TestServer,
      Effect.gen(function*() {
        const node = yield* ScriptedNode.make
        const settings = decode({
          SCAISPEAK_PORT: "0",
          SCAISPEAK_GRPC_PORT: "0",
          SCAISPEAK_DATA_DIR: yield* temporaryFolder,
          SCAISPEAK_NODES: node.address,
          SCAISPEAK_ENCODER_WORKERS: "1",
          ...(Effect.isEffect(env) ? yield* env : env)
        })
        assert.ok(Result.isSuccess(settings), String(settings))
        const context = yield* Layer.build(Server.layer(settings.success))
        const { address } = Context.get(context, HttpServer.HttpServer)
        assert.ok("port" in address)
        const root = `http://127.0.0.1:${address.port}`
        const url = `${root}${mount}`
        const keys = Context.get(context, ApiKeys)

        const made: TestServer["Service"] = {
          url,
          root,
          node,
          context,
          key: (tenant, user, role, permissions = granted[role]) =>
            keys.create({
              name: "test",
              owner: { tenantId: TenantId.make(tenant), userId: UserId.make(user), role },
              permissions
            }).pipe(Effect.orDie, Effect.map(({ key }) => Redacted.value(key))),
          counters: Effect.gen(function*() {
            return {
              holds: Context.get(context, Accounting).openHolds(),
              nodeCalls: Context.get(context, ScaiInferDispatcher).active(),
              relayCalls: Context.get(context, RelayDispatcher).active(),
              encoders: yield* Context.get(context, AudioEncoder).active,
              engine: node.open()
            }
          })
        }
        yield* until(Effect.promise(() => fetch(`${url}/readyz`)), (response) => response.status === 200)
        if (settings.success.nodes.includes(node.address)) {
          const probe = yield* made.key("probe", "probe", "tenant_viewer")
          yield* until(get(`${url}/voices/vox_scripted_say`, probe), (reply) => reply.status === 200)
        }
        return made
      })
    ).pipe(Layer.provide(logs))
}

/** Tries until the answer fits, for at most ten seconds. */
export const until = <A, E, R>(effect: Effect.Effect<A, E, R>, fits: (answer: A) => boolean) =>
  Effect.repeat(Effect.delay(effect, 10), { until: fits }).pipe(Effect.timeout("10 seconds"), Effect.orDie)

/** Nothing runs any more. */
export const idle = Effect.flatMap(
  TestServer,
  ({ counters }) => until(counters, (counts) => Object.values(counts).every((count) => count === 0))
)

export interface Reply {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Buffer
  readonly json: any
}

const reply = (send: () => Promise<Response>): Effect.Effect<Reply> =>
  Effect.promise(async () => {
    const response = await send()
    const bytes = Buffer.from(await response.arrayBuffer())
    const isJson = response.headers.get("content-type")?.startsWith("application/json")
    return {
      status: response.status,
      headers: response.headers,
      bytes,
      json: isJson ? JSON.parse(bytes.toString()) : undefined
    }
  })

const authorized = (key: string | undefined) => (key === undefined ? {} : { authorization: `Bearer ${key}` })

export const get = (url: string, key?: string, headers: Record<string, string> = {}) =>
  reply(() => fetch(url, { headers: { ...authorized(key), ...headers } }))

export const send = (
  method: string,
  url: string,
  body: unknown,
  key?: string,
  headers: Record<string, string> = {}
) =>
  reply(() =>
    fetch(url, {
      method,
      headers: { "content-type": "application/json", ...authorized(key), ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body)
    })
  )
