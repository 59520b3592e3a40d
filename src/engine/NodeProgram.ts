/**
 * A node: `AudioService` over gRPC in front of the engines loaded here (see `Engines.ts`). The default is Flite alone.
 *
 * It listens before its engine is ready; the first call waits for that. When its scope closes it refuses new calls with
 * UNAVAILABLE, tells the gateways that it announced itself to, lets its own finish up to `drainMillis`, cancels the rest,
 * and then stops listening.
 */
import { Server } from "@grpc/grpc-js"
import { Context, Effect, FiberSet, Layer, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { listen } from "../services/GrpcListener.ts"
import type { CannotListen, Listening } from "../services/GrpcListener.ts"
import type { Engine } from "./Engine.ts"
import * as Flite from "./Flite.ts"
import * as Admission from "./node/Admission.ts"
import * as AudioServer from "./node/AudioServer.ts"
import { takingCancels } from "./node/Cancels.ts"
import { health, HealthService } from "./node/Health.ts"
import * as HeartbeatSender from "./node/HeartbeatSender.ts"
import type { HeartbeatOptions } from "./node/HeartbeatSender.ts"
import * as References from "./node/References.ts"
import type { Refusal } from "./node/Status.ts"

export interface NodeOptions extends Listening {
  readonly nodeId: string
  /** Calls that run at once. */
  readonly capacity: number
  /** Calls that wait for one of those to end; more are refused. */
  readonly queue: number
  readonly drainMillis: number
  /** Gateways that the node announces itself to; none when absent. `advertise`: where they reach it, if not where it listens. */
  readonly heartbeats?: Omit<HeartbeatOptions, "address"> & { readonly advertise: string | undefined }
  /** Reference clips that the node keeps, bytes; 256 MiB when absent. */
  readonly referenceBytesMax?: number
}

/** A reference clip of two minutes and the longest text fit. */
const receiveBytesMax = 8 * 1024 * 1024

export class NodeProgram extends Context.Service<NodeProgram, {
  /** `host:port` that is really bound. */
  readonly address: string
  /** What the node does at this moment. */
  readonly load: () => {
    /** Calls that run. */
    readonly active: number
    /** Calls that wait for their turn. */
    readonly queued: number
    /** Pieces of speech inside the engines, those of cancelled calls included. */
    readonly sentencesRunning: number
  }
}>()("scaispeak/NodeProgram") {
  static layer(options: NodeOptions & { readonly workers: number }): Layer.Layer<NodeProgram, CannotListen> {
    return NodeProgram.layerEngines(options, Effect.map(Flite.make({ workers: options.workers }), (flite) => [flite]))
  }

  /** The first engine is the one that `default` means. */
  static layerEngines(
    options: NodeOptions,
    engines: Effect.Effect<ReadonlyArray<Engine>, never, Scope.Scope>
  ): Layer.Layer<NodeProgram, CannotListen> {
    return Layer.effect(NodeProgram, serve(options, engines))
  }
}

const serve = Effect.fnUntraced(function*(
  options: NodeOptions,
  loading: Effect.Effect<ReadonlyArray<Engine>, never, Scope.Scope>
) {
  const engines = yield* loading
  const admission = Admission.make(options)
  const references = References.make({ bytesMax: options.referenceBytesMax })
  const calls = yield* FiberSet.make<void, Refusal>()
  const fork = yield* FiberSet.runtime(calls)()
  const server = takingCancels(new Server({ "grpc.max_receive_message_length": receiveBytesMax }))
  const audio = { ...options, version: manifest.version, engines, admission, references, fork }
  server.addService(AudioServer.AudioService, AudioServer.make(audio))
  server.addService(HealthService, health(() => !admission.draining()))

  const address = yield* listen(server, options)
  const announce = options.heartbeats === undefined ? Effect.void : yield* HeartbeatSender.make(
    { ...options.heartbeats, address: options.heartbeats.advertise ?? address },
    () => AudioServer.infoOf(audio)
  )
  yield* Effect.addFinalizer(() =>
    admission.close.pipe(
      Effect.andThen(announce),
      Effect.andThen(FiberSet.awaitEmpty(calls)),
      Effect.timeoutOption(options.drainMillis),
      Effect.andThen(FiberSet.clear(calls))
    )
  )

  return NodeProgram.of({
    address,
    load: () => ({
      active: admission.active(),
      queued: admission.queued(),
      sentencesRunning: engines.reduce((sum, engine) => sum + engine.running(), 0)
    })
  })
})

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }
