/** The gateway's gRPC port: where nodes announce themselves. */
import { Server } from "@grpc/grpc-js"
import { Context, Effect, Layer } from "effect"
import type { Redacted } from "effect"
import { HeartbeatServiceService } from "../proto/scaiinfer/v1/heartbeat.ts"
import { listen } from "../services/GrpcListener.ts"
import type { CannotListen } from "../services/GrpcListener.ts"
import type { NodeRegistry } from "../services/NodeRegistry.ts"
import * as Heartbeats from "./grpc/Heartbeats.ts"

/** The largest heartbeat, with room: 1024 held references are 34 KiB. */
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
  }): Layer.Layer<GrpcServer, CannotListen, NodeRegistry> =>
    Layer.effect(
      GrpcServer,
      Effect.gen(function*() {
        const server = new Server({ "grpc.max_receive_message_length": receiveBytesMax })
        server.addService(HeartbeatServiceService, yield* Heartbeats.make({ token: options.nodeToken }))
        return GrpcServer.of({ address: yield* listen(server, { host: options.host, port: options.grpcPort }) })
      })
    )
}
