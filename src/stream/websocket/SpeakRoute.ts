/** `WS /stream/speak`: live speech. What it says is in `docs/streaming.md`. */
import { Context, Effect, Exit, FiberSet, Scope, Tracer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { carrying, CurrentRequestId } from "../../services/CurrentRequestId.ts"
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

/**
 * Answers with a socket, and is over with that: what goes over it has a fiber of its own in the `sessions`, which begins with
 * their `context`. A request's own holds five copies of every service of the process, for as long as it lasts
 * (`docs/decisions/0012-what-a-thousand-sessions-leave-to-the-collector.md`).
 */
const speak = (sessions: FiberSet.FiberSet, context: Context.Context<StreamService>) =>
  Effect.uninterruptibleMask(Effect.fnUntraced(function*(restore) {
    const requestId = yield* CurrentRequestId
    const parent = yield* Effect.serviceOption(Tracer.ParentSpan)
    const scope = yield* Scope.make()
    const connection = yield* upgrade({ action: "stream.speak", permission: "scaispeak:synthesize" }).pipe(
      Scope.provide(scope),
      restore,
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
    const session = carry(speakConnection(connection), requestId).pipe(
      step("stream.speak"),
      // Whichever way a socket ends, it was a socket.
      Effect.catchIf((error) => error instanceof SocketClosed, () => Effect.void),
      Effect.onExit((exit) => Scope.close(scope, exit))
    )
    const own = carrying(requestId)(context).pipe(
      Context.add(Scope.Scope, scope),
      Context.addOrOmit(Tracer.ParentSpan, parent)
    )
    const fiber = Effect.runForkWith(own)(session)
    FiberSet.addUnsafe(sessions, fiber)
    connection.socket.onLost(() => fiber.interruptUnsafe())
    return HttpServerResponse.empty()
  })).pipe(
    // It was gone before the handshake.
    Effect.catchIf((error) => error instanceof SocketClosed, () => Effect.succeed(HttpServerResponse.empty()))
  )

/** What is Effect's own: tracer, loggers, levels. Small, as it is copied where it is often asked. */
const lean = (context: Context.Context<never>) =>
  Context.makeUnsafe<never>(new Map([...context.mapUnsafe].filter(([key]) => key.startsWith("effect/"))))

/** `mount`: where the module is. Sessions end with the layer, their sockets with them. */
export const layer = (mount: `/${string}`) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    const [identity, ledger, sockets] = yield* Effect.all([Identity, Ledger, Sockets])
    const sessions = yield* FiberSet.make()
    const context = lean(yield* Effect.context()).pipe(Context.add(StreamService, yield* StreamService))
    yield* router.add(
      "GET",
      `${mount}/stream/speak`,
      speak(sessions, context).pipe(
        Effect.provideService(Identity, identity),
        Effect.provideService(Ledger, ledger),
        Effect.provideService(Sockets, sockets)
      )
    )
  }))
