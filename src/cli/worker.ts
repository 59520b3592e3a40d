/** `scaispeak worker`: runs jobs until it is stopped; what it was running then is put back for another one. */
import { Console, Effect, Layer } from "effect"
import { Config } from "../Config.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Worker from "../Worker.ts"

export const worker = Effect.gen(function*() {
  const settings = yield* Config
  const { concurrency } = settings.jobs
  const Greeting = Layer.effectDiscard(Console.log(JSON.stringify({ worker: process.pid, concurrency })))
  return yield* Layer.launch(
    Greeting.pipe(Layer.provide(Worker.layer(settings)), Layer.provide(Telemetry.layer(settings)))
  )
}).pipe(Effect.provide(Config.layer))
