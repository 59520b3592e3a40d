/**
 * What the way from a request to an engine node costs, each figure beside its baseline in the same run.
 *
 * 1. `pick`: the choice of a node alone, and a call through the real dispatcher over the real registry against the same
 *    call by grpc-js.
 * 2. `streams`: 300 streams that a node paces, as they arrive at the client: straight from the node, through a bare
 *    `node:http` + grpc-js proxy, and through `POST /speak`.
 * 3. `cancel`: how soon the node knows that a client has gone, by the same three ways.
 *
 * Parts can be named.
 */
import { stop } from "./harness.ts"
import { cancel } from "./routing/cancel.ts"
import { pick } from "./routing/pick.ts"
import { streams } from "./routing/streams.ts"

const parts: Record<string, () => Promise<void>> = { pick, streams, cancel }

// All of it, or the parts named on the command line.
const asked = process.argv.slice(2)
try {
  for (const part of asked.length > 0 ? asked : Object.keys(parts)) await parts[part]!()
} finally {
  await stop()
}
