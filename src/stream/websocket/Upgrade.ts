/**
 * A request to upgrade becomes a WebSocket of a caller who may have it, or a plain HTTP refusal in the envelope.
 *
 * Browsers cannot set headers on a WebSocket, so the token may come in one of three ways: `Authorization: Bearer …`, the
 * subprotocol `scaispeak.bearer.<token>`, `?token=…`; the first that is there counts. It is in no log, span or audit row:
 * query parameters of that name are redacted (`Http.ts`), and headers are not recorded.
 *
 * What comes in is bounded twice: a frame by {@link serverOptions}, and unread frames by the socket, which stops reading
 * at 64 KiB. What goes out waits for the peer.
 */
import type * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Effect, Exit, Redacted } from "effect"
import type { Scope } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import { HttpServerRequest } from "effect/http"
import type { HttpServerError } from "effect/http"
import { Socket } from "effect/socket"
import type { Socket as TcpSocket } from "node:net"
import type { PermissionDenied, StorageUnavailable, TokenInvalid, TokenMissing } from "../../domain/Failure.ts"
import { missing } from "../../domain/Permission.ts"
import type { AuthUser, Permission } from "../../domain/Permission.ts"
import type { CloseCode } from "../../domain/stream/CloseCode.ts"
import { CurrentRequestId } from "../../services/CurrentRequestId.ts"
import { Identity } from "../../services/Identity.ts"
import { Ledger } from "../../services/Ledger.ts"

/** A larger frame ends its socket with 1009. */
const frameBytesMax = 64 * 1024
const protocol = "scaispeak.v1"
const bearerProtocol = "scaispeak.bearer."

/** Of the one server that all sockets come through. */
export const serverOptions: NonNullable<NodeHttpServer.Options["websocket"]> = {
  maxPayload: frameBytesMax,
  // Audio does not compress, and with it a small frame may unfold.
  perMessageDeflate: false,
  // A browser that offered anything gives up unless one of it comes back.
  handleProtocols: (offered) =>
    offered.has(protocol) ? protocol : [...offered].find((name) => name.startsWith(bearerProtocol)) ?? false
}

export interface Connection {
  readonly user: AuthUser
  /** The next frames, texts as strings; fails with the close of either side. */
  readonly receive: Effect.Effect<NonEmptyReadonlyArray<string | Uint8Array>, Socket.SocketError>
  /** Returns when the kernel has it, or is about to: a peer that does not read is waited for. */
  readonly send: (frame: string | Uint8Array) => Effect.Effect<void, Socket.SocketError>
  /** Does not wait for the peer's answer; a socket that is gone already is closed. */
  readonly close: (code: CloseCode, reason?: string) => Effect.Effect<void>
  /** What the call is about, for its audit row, once it is known. */
  resourceId: string | null
}

export interface UpgradeOptions {
  /** In the audit row, such as `recorder.record`. */
  readonly action: string
  readonly permission: Permission
}

export type Refusal = TokenMissing | TokenInvalid | PermissionDenied | StorageUnavailable

/** The socket is closed with the scope, and one audit row written. Before it is there, nothing but HTTP has been said. */
export const upgrade = Effect.fnUntraced(function*({ action, permission }: UpgradeOptions): Effect.fn.Return<
  Connection,
  Refusal | HttpServerError.HttpServerError | Socket.SocketError,
  Scope.Scope | HttpServerRequest.HttpServerRequest | Identity | Ledger
> {
  const request = yield* HttpServerRequest.HttpServerRequest
  const ledger = yield* Ledger
  const requestId = yield* CurrentRequestId
  const user = yield* (yield* Identity).authenticate(Redacted.make(tokenOf(request)))
  const audit = (resourceId: string | null, outcome: "allowed" | "denied" | "failed") =>
    ledger.audit({ actorUserId: user.userId, tenantId: user.tenantId, action, resourceId, outcome, requestId })

  const denied = missing(user, permission)
  if (denied !== undefined) {
    yield* audit(null, "denied")
    return yield* denied
  }
  const socket = yield* request.upgrade
  const { pull } = yield* socket.reader
  const { write } = yield* socket.writer
  const tcp = NodeHttpServerRequest.toIncomingMessage(request).socket as TcpSocket

  /** `write` hands a frame over and returns at once: without this, a stalled peer has everything buffered for it. */
  const drained = Effect.callback<void>((resume) => {
    const wake = () => {
      tcp.off("drain", wake).off("close", wake)
      resume(Effect.void)
    }
    if (tcp.destroyed) return resume(Effect.void)
    tcp.on("drain", wake).on("close", wake)
    return Effect.sync(() => tcp.off("drain", wake).off("close", wake))
  })

  const connection: Connection = {
    user,
    receive: pull,
    send: (frame) => Effect.flatMap(write(frame), () => tcp.writableNeedDrain ? drained : Effect.void),
    close: (code, reason = "") => Effect.ignore(write(new Socket.CloseEvent(code, reason))),
    resourceId: null
  }
  yield* Effect.addFinalizer((exit) => audit(connection.resourceId, Exit.isSuccess(exit) ? "allowed" : "failed"))
  return connection
})

/** Empty when there is none. */
export const tokenOf = (
  { headers, originalUrl }: Pick<HttpServerRequest.HttpServerRequest, "headers" | "originalUrl">
) => {
  const bearer = /^Bearer +(\S+)$/iu.exec(headers["authorization"] ?? "")?.[1]
  const offered = (headers["sec-websocket-protocol"] ?? "").split(",").map((name) => name.trim())
  const inProtocol = offered.find((name) => name.startsWith(bearerProtocol))?.slice(bearerProtocol.length)
  const query = originalUrl.slice(originalUrl.indexOf("?") + 1)
  const inQuery = originalUrl.includes("?") ? new URLSearchParams(query).get("token") : null
  return bearer ?? inProtocol ?? inQuery ?? ""
}
