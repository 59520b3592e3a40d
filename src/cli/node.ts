/** `scaispeak node`: an engine node by itself. Prints `{"address":"host:port"}` once it listens. */
import { Effect, Layer, Option } from "effect"
import { availableParallelism, hostname } from "node:os"
import { Config } from "../Config.ts"
import * as Engines from "../engine/Engines.ts"
import { NodeProgram } from "../engine/NodeProgram.ts"
import * as Telemetry from "../Telemetry.ts"

/** Settles when whoever started this process has let go of its standard input. */
const orphaned = Effect.callback<void>((resume) => {
  process.stdin.resume()
  process.stdin.once("close", () => resume(Effect.void))
})

export const node = (flags: { readonly listen: Option.Option<string>; readonly embedded: boolean }) =>
  Effect.gen(function*() {
    const settings = yield* Config
    const [host = "127.0.0.1", port = "0"] = Option.getOrElse(flags.listen, () => settings.nodeAddress).split(
      /:(?=\d+$)/u
    )
    const program = NodeProgram.layerEngines({
      host,
      port: Number(port),
      nodeId: flags.embedded ? "embedded" : `${hostname()}:${port === "0" ? process.pid : port}`,
      capacity: settings.nodeCapacity,
      queue: settings.nodeCapacity,
      drainMillis: settings.drainMs,
      heartbeats: {
        gateways: settings.nodeGateways,
        advertise: settings.nodeAdvertise,
        token: settings.nodeToken
      }
    }, Engines.load(settings, availableParallelism()))
    yield* Effect.gen(function*() {
      const { address } = yield* NodeProgram
      process.stdout.write(`${JSON.stringify({ address })}\n`)
      yield* flags.embedded ? orphaned : Effect.never
    }).pipe(Effect.provide(Layer.provideMerge(program, Telemetry.layer(settings))))
  }).pipe(Effect.provide(Config.layer))
