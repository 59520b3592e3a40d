/** Prints its id and its options, then takes a young generation of 3 MiB. */
import { Effect } from "effect"
import { of } from "../../src/cli/YoungGeneration.ts"

console.log(JSON.stringify({ pid: process.pid, options: process.execArgv, words: process.argv.slice(2) }))
Effect.runSync(of(3))
