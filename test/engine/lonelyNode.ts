/** A node whose engine's process holds its thread: prints that process's id, then waits to be killed. */
import { Effect, Stream } from "effect"
import { execFileSync } from "node:child_process"
import * as EngineProcess from "../../src/engine/EngineProcess.ts"

const program = Effect.gen(function*() {
  const engine = yield* EngineProcess.make({
    name: "scripted",
    entry: new URL("./scriptedChild.ts", import.meta.url),
    settings: {},
    loadMillisMax: 5000,
    quietMillisMax: 60_000,
    cancelMillisMax: 60_000,
    firstWaitMillis: 5000
  })
  const { audio } = yield* engine.speak({
    requestId: "",
    engine: "",
    text: "hello block",
    language: "",
    voice: { $case: "presetVoice", value: "one" },
    params: undefined
  })
  yield* Stream.runForEach(audio, () =>
    Effect.sync(() => {
      process.stdout.write(execFileSync("pgrep", ["-P", String(process.pid), "-f", "scriptedChild"]))
    }))
})
void Effect.runPromise(Effect.scoped(program))
