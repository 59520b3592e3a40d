/** `WS /stream/speak`: whoever may synthesize gets a socket for one live session. */
import { Effect } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Socket } from "effect/socket"
import { CurrentRequestId } from "../../services/CurrentRequestId.ts"
import type { Identity } from "../../services/Identity.ts"
import type { Ledger } from "../../services/Ledger.ts"
import type { StreamService } from "../StreamService.ts"
import { carry } from "./SpeakSocket.ts"
import { upgrade } from "./Upgrade.ts"

const goodEnd = 1000

/** `mount`: where the module is. */
export const layer = (mount: `/${string}`) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    const context = yield* Effect.context<Identity | Ledger | StreamService>()

    const speak = Effect.gen(function*() {
      const connection = yield* upgrade({ action: "stream.speak", permission: "scaispeak:synthesize" })
      yield* carry(Object.assign(connection, { isDeparture }), yield* CurrentRequestId)
    }).pipe(
      Effect.scoped,
      Effect.catchIf(Socket.SocketError.is, () => Effect.void),
      Effect.as(HttpServerResponse.empty()),
      Effect.provideContext(context)
    )
    yield* router.add("GET", `${mount}/stream/speak`, speak)
  }))

const isDeparture = ({ reason }: Socket.SocketError): boolean =>
  reason._tag === "SocketCloseError" && reason.code === goodEnd
