/** `WS /stream/speak`: live speech. What it says is in `docs/streaming.md`. */
import { Context, Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { CurrentRequestId } from "../../services/CurrentRequestId.ts"
import { Identity } from "../../services/Identity.ts"
import { Ledger } from "../../services/Ledger.ts"
import { step } from "../../services/Trace.ts"
import { StreamService } from "../StreamService.ts"
import { SocketClosed } from "./Inbox.ts"
import { Sockets } from "./Sockets.ts"
import { carry } from "./SpeakSocket.ts"
import type { SpeakConnection } from "./SpeakSocket.ts"
import { endOf, upgrade } from "./Upgrade.ts"
import type { Connection } from "./Upgrade.ts"

const speakConnection = (connection: Connection): SpeakConnection<SocketClosed> =>
  Object.assign(connection, {
    endOf,
    waits: (waits: boolean) => {
      connection.socket.isWaiting = waits
    },
    // A client that is only too slow may still take the rest, and be told why.
    cut: (code: number) => {
      if (connection.socket.isStuck && code !== 4408) connection.socket.reset()
    }
  })

const speak = Effect.gen(function*() {
  const connection = yield* upgrade({ action: "stream.speak", permission: "scaispeak:synthesize" })
  yield* carry(speakConnection(connection), yield* CurrentRequestId).pipe(
    step("stream.speak"),
    // Whichever way a socket ends, it was a socket.
    Effect.catchIf((error) => error instanceof SocketClosed, () => Effect.void)
  )
}).pipe(
  // It was gone before the handshake.
  Effect.catchIf((error) => error instanceof SocketClosed, () => Effect.void),
  Effect.scoped,
  Effect.as(HttpServerResponse.empty())
)

/** `mount`: where the module is. */
export const layer = (mount: `/${string}`) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    const services = Context.make(StreamService, yield* StreamService).pipe(
      Context.add(Identity, yield* Identity),
      Context.add(Ledger, yield* Ledger),
      Context.add(Sockets, yield* Sockets)
    )
    yield* router.add("GET", `${mount}/stream/speak`, Effect.provideContext(speak, services))
  }))
