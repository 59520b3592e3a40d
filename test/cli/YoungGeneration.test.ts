/** A program that asks for a young generation is replaced by itself, once, and is otherwise as it was. */
import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { join } from "node:path"

const runs = (options: ReadonlyArray<string>, env: Record<string, string> = {}) => {
  const { stdout } = spawnSync(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", ...options, join(import.meta.dirname, "young.ts"), "a", "b c"],
    { env: { ...process.env, ...env }, encoding: "utf8" }
  )
  return stdout.trim().split("\n").map((line) => JSON.parse(line) as { pid: number; options: Array<string>; words: [] })
}

describe("YoungGeneration", () => {
  it("replaces the program by itself, under its id, with its words and the option", () => {
    const [first, second, ...more] = runs([])
    assert.deepEqual(more, [])
    assert.equal(second!.pid, first!.pid)
    assert.deepEqual(second!.words, ["a", "b c"])
    assert.deepEqual(second!.options, ["--max-semi-space-size=3", ...first!.options])
  })

  it("leaves it as it is where somebody has said a size", () => {
    assert.equal(runs(["--max-semi-space-size=16"]).length, 1)
    assert.equal(runs([], { NODE_OPTIONS: "--max-semi-space-size=16" }).length, 1)
  })
})
