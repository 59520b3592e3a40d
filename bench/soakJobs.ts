/**
 * Jobs while everything is killed: `npm run soak:jobs [jobs] [seed]`, 200 jobs unless said otherwise. Prints what was killed
 * and what became of every job; ends with 1 when any was lost, doubled, or sounds otherwise than undisturbed.
 */
import { run } from "../test/e2e/jobs/Stage.ts"

const jobs = Number(process.argv[2] ?? 200)
const seed = Number(process.argv[3] ?? Date.now() % 100_000)
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1))
console.log(`${jobs} jobs, seed ${seed}`)
const verdict = await run({
  jobs,
  kinds: 12,
  length: 11,
  seed,
  pauseMillis: 5000,
  patienceMillis: 300_000,
  log: (line) => console.log(line)
})
console.log(JSON.stringify(verdict, null, 2))
const { doubleUsage, missingUsage, orphans, otherAudio, queueLeft, rows, statuses } = verdict
const well = statuses["completed"] === rows &&
  doubleUsage + missingUsage + otherAudio + orphans.length + queueLeft === 0
console.log(well ? "Every job ended well, once." : "NOT every job ended well.")
process.exitCode = well ? 0 : 1
