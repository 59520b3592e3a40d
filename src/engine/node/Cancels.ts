/**
 * Callers that hang up or cut in are cancels, and a gateway sends those of all its callers over one connection. Node takes
 * more than a thousand at once, or 33 a second, for a flood, and ends the connection with every call on it.
 */
import type { Server } from "@grpc/grpc-js"
import type { ServerSessionOptions } from "node:http2"

/** Ten thousand sessions that are cut in on once a second. */
const cancelsPerSecond = 10_000

/** Before it listens. grpc-js hands these options to `node:http2`, and has no name of its own for them. */
export const takingCancels = (server: Server): Server => {
  const options: ServerSessionOptions = server["commonServerOptions"]
  options.streamResetBurst = options.streamResetRate = cancelsPerSecond
  return server
}
