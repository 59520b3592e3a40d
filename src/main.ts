#!/usr/bin/env node
/** The program: `scaispeak <command>`, and `serve` when none is named. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"
import { main } from "./cli/Cli.ts"
import { tuneCollector } from "./cli/Collector.ts"
import { exitWith } from "./cli/Exit.ts"

tuneCollector()
NodeRuntime.runMain(Effect.suspend(() => main(process.argv.slice(2))), {
  disableErrorReporting: true,
  teardown: exitWith
})
