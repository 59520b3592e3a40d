/**
 * Runs the node program beside this process, as a child that cannot outlive it, and keeps the registry polling it.
 *
 * The child stands in a process group of its own, so that a Ctrl-C reaches the server alone and calls can finish; it
 * ends when its standard input closes, which the system does even when this process is killed. A child that dies is
 * started again.
 */
import { Effect, Layer, Schedule, Schema } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { NodeRegistry } from "./NodeRegistry.ts"

class NodeExited extends Schema.TaggedError<NodeExited>()("NodeExited", { code: Schema.NullOr(Schema.Number) }) {}

/** The line that a node program prints when it listens. */
const Ready = Schema.fromJsonString(Schema.Struct({ address: Schema.String }))

/** Grace beyond the child's own drain before it is killed. */
const killAfterMillis = 2000

/** `command` is the program and its arguments; it prints `{"address":"host:port"}` once it listens. */
export const layer = (options: { readonly command: readonly [string, ...Array<string>]; readonly drainMs: number }) =>
  Layer.effectDiscard(
    Effect.gen(function*() {
      const registry = yield* NodeRegistry
      const [program, ...args] = options.command

      const child = Effect.acquireRelease(
        Effect.sync(() => spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], detached: true })),
        (child) =>
          Effect.gen(function*() {
            if (child.exitCode !== null || child.signalCode !== null) return
            const exited = once(child, "exit")
            child.stdin.end()
            yield* Effect.promise(() => exited).pipe(
              Effect.timeoutOrElse({
                duration: options.drainMs + killAfterMillis,
                orElse: () => Effect.sync(() => child.kill("SIGKILL"))
              })
            )
          })
      )

      const run = Effect.gen(function*() {
        const running = yield* child
        // A child that dies while it is written to must not take this process with it.
        running.stdin.on("error", () => {})
        const exited = Effect.callback<never, NodeExited>((resume) => {
          running.once("exit", (code) => resume(Effect.fail(new NodeExited({ code }))))
          running.once("error", () => resume(Effect.fail(new NodeExited({ code: null }))))
        })
        const line = Effect.callback<string>((resume) => {
          createInterface({ input: running.stdout }).once("line", (text) => resume(Effect.succeed(text)))
        })
        const { address } = yield* Effect.raceFirst(line, exited).pipe(
          Effect.flatMap(Schema.decodeUnknownEffect(Ready)),
          Effect.catchTag("SchemaError", Effect.die)
        )
        yield* registry.watch(address)
        return yield* exited
      }).pipe(
        Effect.scoped,
        Effect.tapError(({ code }) => Effect.logError("embedded node ended", { code })),
        Effect.retry(Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("5 seconds")]))
      )
      yield* Effect.forkScoped(run)
    })
  )
