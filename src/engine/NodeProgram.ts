/**
 * A node: `AudioService` over gRPC in front of the engines loaded here (see `Engines.ts`). The default is Flite alone.
 *
 * It listens before its engine is ready; the first call waits for that. When its scope closes it refuses new calls with
 * UNAVAILABLE, lets its own finish up to `drainMillis`, cancels the rest, and then stops listening.
 */
import { Server, ServerCredentials } from "@grpc/grpc-js"
import { Context, Effect, FiberSet, Layer, Schema, type Scope } from "effect"
import { readFileSync } from "node:fs"
import type { Engine } from "./Engine.ts"
import * as Flite from "./Flite.ts"
import * as Admission from "./node/Admission.ts"
import * as AudioServer from "./node/AudioServer.ts"
import { health, HealthService } from "./node/Health.ts"
import type { Refusal } from "./node/Status.ts"

/** The address is taken or not this machine's. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  address: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `cannot listen on ${this.address}: ${this.cause instanceof Error ? this.cause.message : this.cause}`
  }
}

export interface NodeOptions {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  readonly nodeId: string
  /** Calls that run at once. */
  readonly capacity: number
  /** Calls that wait for one of those to end; more are refused. */
  readonly queue: number
  readonly drainMillis: number
}

/** Grace for the last statuses to leave after every call has ended. */
const flushMillisMax = 250
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
  const calls = yield* FiberSet.make<void, Refusal>()
  const fork = yield* FiberSet.runtime(calls)()
  const server = new Server({ "grpc.max_receive_message_length": receiveBytesMax })
  server.addService(
    AudioServer.AudioService,
    AudioServer.make({ ...options, version: manifest.version, engines, admission, fork })
  )
  server.addService(HealthService, health(() => !admission.draining()))

  yield* Effect.addFinalizer(() => stop(server))
  const port = yield* bind(server, options)
  yield* Effect.addFinalizer(() =>
    admission.close.pipe(
      Effect.andThen(FiberSet.awaitEmpty(calls)),
      Effect.timeoutOption(options.drainMillis),
      Effect.andThen(FiberSet.clear(calls))
    )
  )

  return NodeProgram.of({
    address: `${bracketed(options.host)}:${port}`,
    load: () => ({
      active: admission.active(),
      queued: admission.queued(),
      sentencesRunning: engines.reduce((sum, engine) => sum + engine.running(), 0)
    })
  })
})

const bind = (server: Server, { host, port }: NodeOptions): Effect.Effect<number, CannotListen> => {
  const address = `${bracketed(host)}:${port}`
  return Effect.callback((resume) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (cause, bound) => {
      resume(cause === null ? Effect.succeed(bound) : Effect.fail(new CannotListen({ address, cause })))
    })
  })
}

const stop = (server: Server): Effect.Effect<void> =>
  Effect.callback<void>((resume) => server.tryShutdown(() => resume(Effect.void))).pipe(
    Effect.timeoutOption(flushMillisMax),
    Effect.andThen(Effect.sync(() => server.forceShutdown()))
  )

/** An IPv6 address needs brackets before a port. */
const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host)

const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string }
