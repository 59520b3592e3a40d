/** What becomes of a job whose runs die. */
import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { isDeadly, segmentsAtOnce } from "../../src/domain/Job.ts"

describe("a run", () => {
  const table: ReadonlyArray<readonly [attempts: number, lastProgress: number, atOnce: number]> = [
    [1, 0, 4],
    [2, 0, 4],
    [3, 0, 1],
    [4, 3, 4],
    [10, 0, 1],
    [21, 11, 1]
  ]
  for (const [attempts, lastProgress, atOnce] of table) {
    it(`${attempts}, when the last to finish a segment was ${lastProgress || "none"}, speaks ${atOnce} at once`, () =>
      assert.equal(segmentsAtOnce(attempts, lastProgress), atOnce))
  }

  for (const [deaths, deadly] of [[0, false], [9, false], [10, true], [11, true]] as const) {
    it(`after ${deaths} deaths ${deadly ? "is not begun: whatever ran the job died of it" : "is begun"}`, () =>
      assert.equal(isDeadly(deaths), deadly))
  }
})
