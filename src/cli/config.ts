/** `scaispeak config`: the effective settings; secrets stay redacted. */
import { Console, Effect } from "effect"
import { inspect } from "node:util"
import { Config, describe } from "../Config.ts"

export const config = Effect.gen(function*() {
  const settings = yield* Config
  const width = Math.max(...describe().map(({ name }) => name.length))
  for (const { meaning, name, source } of describe()) {
    yield* Console.log(`${name.padEnd(width)}  ${source.padEnd(11)}  ${meaning}`)
  }
  yield* Console.log(inspect(settings, { depth: 3, colors: process.stdout.isTTY }))
}).pipe(Effect.provide(Config.layer))
