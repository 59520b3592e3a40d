/** The gRPC port: speech for native clients, health for orchestrators, and where nodes announce themselves. */
import { Server } from "@grpc/grpc-js"
import { Context, Effect, Layer } from "effect"
import type { Redacted } from "effect"
import { HealthService } from "../proto/grpc/health/v1/health.ts"
import { HeartbeatServiceService } from "../proto/scaiinfer/v1/heartbeat.ts"
import { listen } from "../services/GrpcListener.ts"
import * as Health from "./grpc/Health.ts"
import * as Heartbeats from "./grpc/Heartbeats.ts"
import * as SpeakService from "./grpc/SpeakService.ts"

/** The largest message of any service: a text of 100 000 code points; a heartbeat has 34 KiB of held references. */
const receiveBytesMax = 1 << 20

export class GrpcServer extends Context.Service<GrpcServer, {
  /** `host:port` that is really bound. */
  readonly address: string
}>()("scaispeak/GrpcServer") {
  static readonly layer = (options: {
    readonly host: string
    readonly grpcPort: number
    /** Shared with nodes. */
    readonly nodeToken: Redacted.Redacted | undefined
    /** Longest time that a message may wait for the client to take it. */
    readonly stallMs: number
    /** Time that running calls get at shutdown. */
    readonly drainMs: number
  }) =>
    Layer.effect(
      GrpcServer,
      Effect.gen(function*() {
        const server = new Server({ "grpc.max_receive_message_length": receiveBytesMax })
        server.addService(HeartbeatServiceService, yield* Heartbeats.make({ token: options.nodeToken }))
        const address = yield* listen(server, { host: options.host, port: options.grpcPort })
        // After the listener, and so drained before it stops.
        const speech = yield* SpeakService.make(options)
        server.addService(SpeakService.SpeakService, speech.service)
        server.addService(HealthService, yield* Health.make(speech.draining))
        return GrpcServer.of({ address })
      })
    )
}
