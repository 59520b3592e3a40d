/**
 * Server, workers, nodes, MariaDB and Redis are killed outright while jobs come in. `npm run soak:jobs` does the same with
 * two hundred jobs.
 */
import assert from "node:assert/strict"
import { it } from "vitest"
import { run } from "./jobs/Stage.ts"

it("every job that was taken ends well, once, with the audio of an undisturbed run", async () => {
  const verdict = await run({ jobs: 14, kinds: 4, length: 3, seed: 5, patienceMillis: 60_000 })
  assert.ok(verdict.accepted >= 14)
  assert.deepEqual(verdict.statuses, { completed: verdict.rows })
  assert.ok(Object.values(verdict.kills).every((count) => count > 0), JSON.stringify(verdict.kills))
  assert.deepEqual(verdict.orphans, [])
  const { doubleUsage, missingUsage, otherAudio, queueLeft } = verdict
  assert.deepEqual({ doubleUsage, missingUsage, otherAudio, queueLeft }, {
    doubleUsage: 0,
    missingUsage: 0,
    otherAudio: 0,
    queueLeft: 0
  })
}, 120_000)
