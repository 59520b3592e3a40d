/**
 * Three projects. `pure` starts nothing; the others may use the real servers that `test/servers` starts once for a run. Files of
 * `alone` have a process of their own each; those of the others share one for each worker (docs/decisions/0013-one-process-for-many-test-files.md).
 */
import { join } from "node:path"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/servers/LongestFirst.ts"

// What Node compiles is kept between processes, those that tests start included.
process.env["NODE_COMPILE_CACHE"] ??= join(import.meta.dirname, "node_modules/.cache/scaispeak/compiled")

const shared = {
  testTimeout: 20_000,
  hookTimeout: 20_000,
  pool: "forks",
  // Sources run as they are, in tests too.
  experimental: { viteModuleRunner: false, nodeLoader: false }
} as const

/** What decides and does nothing. */
const pure = ["test/domain/**/*.test.ts", "test/scripts/**/*.test.ts"]

/** What looks at its own process (its memory, threads, event loop, the last id that it made), or lives by processes of its own. */
const alone = [
  "test/cli/YoungGeneration.test.ts",
  "test/e2e/*.test.ts",
  "test/http/Aborts.test.ts",
  "test/services/Ids.test.ts",
  "test/services/RelayDispatcher.test.ts",
  "test/services/ScaiInferDispatcher.test.ts",
  "test/services/WorkerPool.test.ts",
  "test/stream/Soak.test.ts",
  "test/stream/session/Blocks.test.ts",
  "test/stream/websocket/Hostile.test.ts"
]

const globalSetup = ["test/servers/globalSetup.ts"]

export default defineConfig({
  test: {
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    projects: [
      { test: { ...shared, name: "alone", include: alone, globalSetup } },
      { test: { ...shared, name: "pure", include: pure, isolate: false } },
      {
        test: {
          ...shared,
          name: "service",
          include: ["test/**/*.test.ts"],
          exclude: [...alone, ...pure],
          isolate: false,
          globalSetup
        }
      }
    ]
  }
})
