/**
 * Jobs.
 *
 * `queue`: 10 000 jobs of 20 tenants, one of which has most of them: how fast they are taken, how long the next one waits to be
 * handed out, and how fairly tenants share (Jain's index over what each got while all of them waited: 1 is fair, 1/20 is one
 * for all), against the store that Effect ships, on both databases.
 *
 * `long`: 100 000 characters to one file by Flite, by one node and by two, each on a core of its own: wall time, how soon the
 * file is there after its last sentence, and how far the memory of the worker grows.
 *
 * `nodes`: the same of 20 000 characters by nodes that sleep while they speak: what a second one gives where it is a machine.
 *
 * Parts can be named.
 */
import { stop } from "./harness.ts"
import { long, nodes } from "./jobs/long.ts"
import { queue } from "./jobs/queue.ts"

const parts: Record<string, () => Promise<void>> = { queue, nodes, long }

const asked = process.argv.slice(2)
try {
  for (const part of asked.length > 0 ? asked : Object.keys(parts)) await parts[part]!()
} finally {
  await stop()
}
process.exit()
