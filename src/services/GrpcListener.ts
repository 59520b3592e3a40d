/** Opens a gRPC server on an address for as long as a scope is open. Who uses it decides when its calls have to end. */
import type { Server } from "@grpc/grpc-js"
import { logVerbosity, ServerCredentials, setLogVerbosity } from "@grpc/grpc-js"
import { Effect, Schema } from "effect"
import type { Scope } from "effect"

// The library prints to the console what it also fails with.
setLogVerbosity(logVerbosity.NONE)

/** The address is taken or not this machine's. */
export class CannotListen extends Schema.TaggedError<CannotListen>()("CannotListen", {
  address: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `cannot listen on ${this.address}: ${this.cause instanceof Error ? this.cause.message : this.cause}`
  }
}

export interface Listening {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
}

/** Grace for the last statuses to leave after every call has ended. */
const flushMillisMax = 250

/** An IPv6 address needs brackets before a port. */
const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host)

/** Resolves with the `host:port` that is really bound. Calls that are open when the scope closes are cut. */
export const listen = (
  server: Server,
  { host, port }: Listening
): Effect.Effect<string, CannotListen, Scope.Scope> =>
  Effect.andThen(Effect.addFinalizer(() => stop(server)), bind(server, bracketed(host), port))

const bind = (server: Server, host: string, port: number): Effect.Effect<string, CannotListen> =>
  Effect.callback((resume) => {
    const address = `${host}:${port}`
    server.bindAsync(address, ServerCredentials.createInsecure(), (cause, bound) => {
      resume(cause === null ? Effect.succeed(`${host}:${bound}`) : Effect.fail(new CannotListen({ address, cause })))
    })
  })

const stop = (server: Server): Effect.Effect<void> =>
  Effect.callback<void>((resume) => server.tryShutdown(() => resume(Effect.void))).pipe(
    Effect.timeoutOption(flushMillisMax),
    Effect.andThen(Effect.sync(() => server.forceShutdown()))
  )
