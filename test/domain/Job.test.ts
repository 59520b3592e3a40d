/** What becomes of a job whose runs die. */
import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { isDeadly, segmentsAtOnce } from "../../src/domain/Job.ts"

describe("a run", () => {
  const table: ReadonlyArray<readonly [attempts: number, lastProgress: number, atOnce: number, isDeadly: boolean]> = [
    [1, 0, 4, false],
    [2, 0, 4, false],
    [3, 0, 1, false],
    [4, 3, 4, false],
    [10, 0, 1, false],
    [11, 0, 1, true],
    [21, 11, 1, false],
    [22, 11, 1, true]
  ]
  for (const [attempts, lastProgress, atOnce, deadly] of table) {
    const taken = deadly ? "is not begun: whatever ran the job died of it" : `speaks ${atOnce} at once`
    it(`${attempts}, when the last to finish a segment was ${lastProgress || "none"}, ${taken}`, () => {
      assert.equal(segmentsAtOnce(attempts, lastProgress), atOnce)
      assert.equal(isDeadly(attempts, lastProgress), deadly)
    })
  }
})
