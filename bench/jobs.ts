/**
 * Jobs.
 *
 * `queue`: 10 000 jobs of 20 tenants, one of which has most of them: how fast they are taken, how long the next one waits to be
 * handed out, and how fairly tenants share (Jain's index over what each got while all of them waited: 1 is fair, 1/20 is one
 * for all), against the store that Effect ships, on both databases.
 *
 * `long`: 100 000 characters to one file, by one node and by two, each on a core of its own: wall time, and how far the
 * memory of the worker grows.
 *
 * Parts can be named.
 */
import { stop } from "./harness.ts"
import { long } from "./jobs/long.ts"
import { queue } from "./jobs/queue.ts"

const parts: Record<string, () => Promise<void>> = { queue, long }

const asked = process.argv.slice(2)
try {
  for (const part of asked.length > 0 ? asked : Object.keys(parts)) await parts[part]!()
} finally {
  await stop()
}
process.exit()
