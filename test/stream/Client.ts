/** A transport in the tests' hands: it carries frames, and keeps what it was sent. */
import { Cause, Context, Effect, Exit, Scope } from "effect"
import assert from "node:assert/strict"
import { RequestId, TenantId, UserId } from "../../src/domain/Ids.ts"
import { granted } from "../../src/domain/Permission.ts"
import type { AuthUser } from "../../src/domain/Permission.ts"
import { decodeClientFrame } from "../../src/domain/stream/ClientFrame.ts"
import type { LiveFrame, Open } from "../../src/domain/stream/ClientFrame.ts"
import { StreamService } from "../../src/stream/StreamService.ts"
import type { OpenOptions, OutputItem } from "../../src/stream/StreamService.ts"
import { until } from "../layers/TestServer.ts"

export const caller: AuthUser = {
  tenantId: TenantId.make("acme"),
  userId: UserId.make("ada"),
  role: "tenant_admin",
  permissions: new Set(granted.tenant_admin),
  credential: { kind: "jwt" }
}

const decoded = (frame: object) => {
  const result = decodeClientFrame(frame)
  assert.ok(result._tag === "Success", String(result))
  return result.success
}

export type Frame = (OutputItem & { readonly _tag: "frame" })["frame"]

export const connect = Effect.fnUntraced(function*(
  service: StreamService["Service"],
  frame: object,
  options: OpenOptions & { readonly reads?: boolean; readonly who?: AuthUser } = { resumable: true }
) {
  const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
  const session = yield* service.open(
    options.who ?? caller,
    RequestId.make("req_test"),
    decoded({ type: "open", ...frame }) as Open,
    options
  ).pipe(Scope.provide(scope))
  const items: Array<OutputItem> = []
  let ended = false
  const read = Effect.gen(function*() {
    while (true) items.push(...(yield* session.take))
  }).pipe(Effect.catchIf(Cause.isDone, () => Effect.sync(() => ended = true)))
  if (options.reads !== false) yield* Effect.forkIn(read, scope)

  const frames = () => items.flatMap((item) => item._tag === "frame" ? [item.frame] : [])
  return {
    session,
    items,
    frames,
    of: <T extends Frame["type"]>(type: T) =>
      frames().filter((frame): frame is Frame & { readonly type: T } => frame.type === type),
    audio: () => Buffer.concat(items.flatMap((item) => item._tag === "audio" ? [item.bytes] : [])),
    ended: () => ended,
    send: (...frames: ReadonlyArray<object>) =>
      Effect.sync(() => frames.forEach((frame) => session.receive(decoded(frame) as LiveFrame))),
    /** Reads on until it ends; for a client that did not read. */
    read,
    drop: Scope.close(scope, Exit.void)
  }
})
export type Client = Effect.Success<ReturnType<typeof connect>>

/** Until the client has been sent such a frame, so often. */
export const got = (client: Client, type: Frame["type"], times = 1) =>
  until(Effect.sync(() => client.of(type).length), (count) => count >= times)

export const open = Effect.fnUntraced(function*(
  context: Context.Context<StreamService>,
  voice: string,
  fields: object = {},
  options?: Parameters<typeof connect>[2]
) {
  return yield* connect(
    Context.get(context, StreamService),
    { voice_id: `vox_scripted_${voice}`, output: { codec: "pcm", sample_rate: 16000 }, ...fields },
    options
  )
})
