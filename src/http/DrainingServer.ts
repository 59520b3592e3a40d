/** A Node server that gives up kept-alive connections as soon as they fall idle while it drains. */
import { createServer } from "node:http"
import type { Server } from "node:http"

export const make = (): Server => {
  const server = createServer({
    // Audio chunks are small and late is worse than many packets.
    noDelay: true,
    // A request whose headers or body trickle in holds a connection no longer than this.
    headersTimeout: 15_000,
    requestTimeout: 60_000
  })
  server.on("request", (_, response) => {
    response.once("close", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    })
  })
  return server
}
