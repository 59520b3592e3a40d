/**
 * A Node server that gives up kept-alive connections as soon as they fall idle while it drains, and connections whose
 * client does not read what is sent: it would hold an engine for as long as it likes.
 */
import { createServer } from "node:http"
import type { Server } from "node:http"

/** `stallMsMax`: longest time that bytes may wait for the client to take one of them. */
export const make = (stallMsMax: number) => (): Server => {
  const server = createServer({
    // Audio chunks are small and late is worse than many packets.
    noDelay: true,
    // A request whose headers or body trickle in holds a connection no longer than this.
    headersTimeout: 15_000,
    requestTimeout: 60_000
  })
  server.setTimeout(stallMsMax, (socket) => {
    if (socket.writableLength > 0) socket.destroy()
    // Nothing waits for the client: it is we who are still at work.
    else socket.setTimeout(stallMsMax)
  })
  server.on("request", (_, response) => {
    response.once("close", () => {
      if (!server.listening) setImmediate(() => server.closeIdleConnections())
    })
  })
  return server
}
