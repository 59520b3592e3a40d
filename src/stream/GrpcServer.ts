/** The gRPC port: speech for native clients, health for orchestrators, reflection for tools, heartbeats of nodes. */
import { Server } from "@grpc/grpc-js"
import { Clock, Context, Effect, Layer } from "effect"
import type { Redacted } from "effect"
import { frameBytesMax } from "../domain/stream/ClientFrame.ts"
import { HealthService } from "../proto/grpc/health/v1/health.ts"
import { HeartbeatServiceService } from "../proto/scaiinfer/v1/heartbeat.ts"
import { listen } from "../services/GrpcListener.ts"
import { Drain } from "./grpc/Drain.ts"
import * as Health from "./grpc/Health.ts"
import * as Heartbeats from "./grpc/Heartbeats.ts"
import * as Reflection from "./grpc/Reflection.ts"
import * as SpeakService from "./grpc/SpeakService.ts"

/** Of the largest message that a method takes, so that most of those that are too large are refused in its words. */
const receiveFactor = 2

export class GrpcServer extends Context.Service<GrpcServer, {
  /** `host:port` that is really bound. */
  readonly address: string
  /** From now on no call of the public service is taken, and health says so; those that run go on for the drain time. */
  readonly leave: Effect.Effect<void>
}>()("scaispeak/GrpcServer") {
  static readonly layer = (options: {
    readonly host: string
    readonly grpcPort: number
    /** Largest request, as over HTTP; a heartbeat has 34 KiB of held references. */
    readonly bodyLimitBytes: number
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
        const server = new Server({
          "grpc.max_receive_message_length": receiveFactor * Math.max(options.bodyLimitBytes, frameBytesMax)
        })
        server.addService(HeartbeatServiceService, yield* Heartbeats.make({ token: options.nodeToken }))
        const address = yield* listen(server, { host: options.host, port: options.grpcPort })
        const drain = new Drain(options.drainMs)
        server.addService(HealthService, yield* Health.make(drain))
        const definition = SpeakService.define(options)
        const services = [definition, HeartbeatServiceService, HealthService, Reflection.definitions[0]!]
        const reflection = yield* Reflection.make({ ...options, services })
        for (const reflecting of Reflection.definitions) server.addService(reflecting, reflection)
        // Last, and so drained first: while calls end, health says why no others are taken.
        server.addService(definition, yield* SpeakService.make({ ...options, drain }))
        return GrpcServer.of({
          address,
          leave: Effect.map(Clock.currentTimeMillis, (now) => drain.begin(now))
        })
      })
    )
}
