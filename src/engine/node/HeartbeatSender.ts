/**
 * Announces this node to gateways: at once, then as often as they ask. A gateway that is away is tried again every second,
 * and said so once.
 */
import { credentials, Metadata } from "@grpc/grpc-js"
import type { ServiceError } from "@grpc/grpc-js"
import { Clock, Effect, Redacted } from "effect"
import type { Scope } from "effect"
import type { GetInfoResponse } from "../../proto/scaiinfer/v1/audio.ts"
import { HeartbeatServiceClient } from "../../proto/scaiinfer/v1/heartbeat.ts"
import type { HeartbeatResponse } from "../../proto/scaiinfer/v1/heartbeat.ts"

export interface HeartbeatOptions {
  /** `host:port` of gateways' gRPC. */
  readonly gateways: ReadonlyArray<string>
  /** `host:port` where they reach this node. */
  readonly address: string
  readonly token: Redacted.Redacted | undefined
}

const answerMillisMax = 2000
const retryMillis = 1000
const intervalMillisMin = 100

/** Sends until the scope closes. The returned effect sends to every gateway now, as when the node begins to drain. */
export const make = Effect.fnUntraced(function*(
  options: HeartbeatOptions,
  info: () => GetInfoResponse
): Effect.fn.Return<Effect.Effect<void>, never, Scope.Scope> {
  const metadata = new Metadata()
  if (options.token !== undefined) metadata.set("authorization", `Bearer ${Redacted.value(options.token)}`)

  const senders = yield* Effect.forEach(options.gateways, (gateway) =>
    Effect.gen(function*() {
      const client = yield* Effect.acquireRelease(
        Effect.sync(() =>
          new HeartbeatServiceClient(gateway, credentials.createInsecure(), {
            "grpc.max_reconnect_backoff_ms": retryMillis
          })
        ),
        (client) => Effect.sync(() => client.close())
      )
      const send = Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.callback<HeartbeatResponse, ServiceError>((resume) => {
          const call = client.heartbeat(
            { address: options.address, info: info() },
            metadata,
            { deadline: now + answerMillisMax },
            (error, reply) =>
              resume(error ? Effect.fail(error) : Effect.succeed(reply))
          )
          return Effect.sync(() => call.cancel())
        }))
      let heard: boolean | undefined
      const beat = Effect.matchEffect(send, {
        onFailure: ({ details }) => {
          const wasHeard = heard !== false
          heard = false
          return Effect.as(
            wasHeard
              ? Effect.logWarning("gateway does not hear heartbeats", { gateway, reason: details })
              : Effect.void,
            retryMillis
          )
        },
        onSuccess: ({ intervalMs }) => {
          const isNews = heard !== true
          heard = true
          return Effect.as(
            isNews ? Effect.logInfo("gateway hears heartbeats", { gateway }) : Effect.void,
            Math.max(intervalMillisMin, intervalMs)
          )
        }
      })
      yield* Effect.forkScoped(Effect.forever(Effect.flatMap(beat, (millis) =>
        Effect.sleep(millis))))
      return Effect.ignore(send)
    }))
  return Effect.all(senders, { concurrency: "unbounded", discard: true })
})
