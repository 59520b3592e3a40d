/** What the house relies on V8 for: `docs/decisions/0012`. */
import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { blockBytes, giveBlock, takeBlock } from "../../../src/stream/session/Blocks.ts"

describe("a block", () => {
  it("is not counted as memory that has the heap marked", () => {
    const external = () => process.memoryUsage().external
    const before = external()
    const blocks = Array.from({ length: 1024 }, takeBlock)
    assert.equal(blocks.reduce((sum, { length }) => sum + length, 0), 1024 * blockBytes)
    assert.ok(external() - before < blockBytes, `${external() - before} bytes were counted`)
    for (const block of blocks) giveBlock(block)
  })

  it("goes from one session to the next", () => {
    const block = takeBlock()
    giveBlock(block)
    assert.equal(takeBlock(), block)
    giveBlock(block)
  })
})
