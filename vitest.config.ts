/**
 * Two projects: `pure` starts nothing; everything else may use the real servers that `test/servers` starts once for a run. Every test file has a process of its own.
 */
import { defineConfig } from "vitest/config"

const shared = { testTimeout: 20_000, hookTimeout: 20_000, pool: "forks" } as const

/** What decides and does nothing. */
const pure = ["test/domain/**/*.test.ts", "test/scripts/**/*.test.ts"]

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...shared, name: "pure", include: pure, isolate: false } },
      {
        test: {
          ...shared,
          name: "service",
          include: ["test/**/*.test.ts"],
          exclude: pure,
          globalSetup: ["test/servers/globalSetup.ts"]
        }
      }
    ]
  }
})
