/**
 * A request to upgrade becomes a WebSocket of a caller who may have it, or a plain HTTP refusal in the envelope.
 *
 * Browsers cannot set headers on a WebSocket, so the token may come in one of three ways: `Authorization: Bearer …`, the
 * subprotocol `scaispeak.bearer.<token>`, `?token=…`; the first that is there counts. It is in no log, span or audit row:
 * query parameters of that name are redacted (`Http.ts`), and headers are not recorded.
 *
 * What comes in is bounded twice: a frame by {@link serverOptions}, and unread frames by the inbox. What goes out waits for
 * the peer.
 */
import type * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeHttpServerRequest from "@effect/platform-node/NodeHttpServerRequest"
import { Context, Effect, Exit, Redacted, Scope } from "effect"
import { HttpServerRequest } from "effect/http"
import { InvalidRequest, PayloadTooLarge } from "../../domain/Failure.ts"
import type {
  ConcurrencyLimited,
  PermissionDenied,
  StorageUnavailable,
  TokenInvalid,
  TokenMissing
} from "../../domain/Failure.ts"
import type { AuthUser, Permission } from "../../domain/Permission.ts"
import { frameBytesMax } from "../../domain/stream/ClientFrame.ts"
import { closeCodes } from "../../domain/stream/CloseCode.ts"
import type { CloseCode } from "../../domain/stream/CloseCode.ts"
import * as Admission from "../../services/Admission.ts"
import { CurrentRequestId } from "../../services/CurrentRequestId.ts"
import type { Identity } from "../../services/Identity.ts"
import type { Ledger } from "../../services/Ledger.ts"
import { SocketClosed } from "./Inbox.ts"
import type { Frame, Inbox } from "./Inbox.ts"
import { LiveSocket } from "./LiveSocket.ts"
import { Sockets } from "./Sockets.ts"

const protocol = "scaispeak.v1"
const bearerProtocol = "scaispeak.bearer."

/** The library's, that its types do not know: for a peer to answer a close; ms. */
const farewell = { closeTimeout: 2000 }

/** Of the one server that all sockets come through. A larger frame ends its socket with 1009. */
export const serverOptions: NonNullable<NodeHttpServer.Options["websocket"]> = {
  ...farewell,
  WebSocket: LiveSocket as never,
  maxPayload: frameBytesMax,
  // Audio does not compress, and with it a small frame may unfold.
  perMessageDeflate: false,
  // A browser that offered anything gives up unless one of it comes back.
  handleProtocols: (offered) =>
    offered.has(protocol) ? protocol : [...offered].find((name) => name.startsWith(bearerProtocol)) ?? false
}

export interface Connection {
  readonly user: AuthUser
  /** The next frames. */
  readonly receive: Inbox["next"]
  /** Each frame from now on. */
  readonly listen: Inbox["listen"]
  /** Sends in one piece, and calls back when the kernel has it: a peer that does not read is waited for. */
  readonly write: LiveSocket["write"]
  /** The same, one frame. */
  readonly send: (frame: Frame) => Effect.Effect<void>
  /** Does not wait for the peer's answer; a socket that is gone already is closed. */
  readonly close: (code: CloseCode, reason?: string) => Effect.Effect<void>
  readonly socket: LiveSocket
  /** What the call is about, for its audit row, once it is known. */
  resourceId: string | null
  /** What the audit row says of a call that ended well as a connection. */
  outcome: "allowed" | "denied" | "failed"
}

export interface UpgradeOptions {
  /** In the audit row, such as `recorder.record`. */
  readonly action: string
  readonly permission: Permission
}

export type Refusal =
  | TokenMissing
  | TokenInvalid
  | PermissionDenied
  | InvalidRequest
  | ConcurrencyLimited
  | StorageUnavailable

/** The socket is closed with the scope, and one audit row written. Before it is there, nothing but HTTP has been said. */
export const upgrade = Effect.fnUntraced(function*({ action, permission }: UpgradeOptions): Effect.fn.Return<
  Connection,
  Refusal | SocketClosed,
  Scope.Scope | HttpServerRequest.HttpServerRequest | Identity | Ledger | Sockets
> {
  const request = yield* HttpServerRequest.HttpServerRequest
  const sockets = yield* Sockets
  const requestId = yield* CurrentRequestId
  const admit = yield* Admission.make
  const { audit, user } = yield* admit(Redacted.make(tokenOf(request)), { action, permission, requestId })
  const call = { resourceId: null as string | null, outcome: "allowed" as Connection["outcome"] }
  const scope = yield* Effect.scope
  yield* Scope.addFinalizerExit(
    scope,
    (exit) => audit(call.resourceId, Exit.isSuccess(exit) ? call.outcome : "failed")
  )
  yield* handshake(request.headers)
  yield* sockets.place(user.tenantId)
  const opened = Effect.flatMap(
    Effect.mapError(request.upgrade, () => InvalidRequest.field("Connection", "must be Upgrade")),
    (wire) => Effect.mapError(wire.reader, () => new SocketClosed({ code: 1006 }))
  )
  // The context that it has is kept for as long as the socket is open.
  const scopeAlone: (context: Context.Context<never>) => Context.Context<Scope.Scope> = () =>
    Context.make(Scope.Scope, scope)
  yield* Effect.updateContext(opened, scopeAlone)
  const socket = LiveSocket.of(NodeHttpServerRequest.toIncomingMessage(request).socket)
  if (socket === undefined) return yield* Effect.die("a WebSocket of another kind")
  sockets.watch(socket)

  return Object.assign(call, {
    user,
    socket,
    receive: socket.inbox.next,
    listen: (hear: (frame: Frame) => void) => socket.inbox.listen(hear),
    write: (frames: ReadonlyArray<Frame>, written: () => void) => socket.write(frames, written),
    send: (frame: Frame) => Effect.callback<void>((resume) => socket.write([frame], () => resume(Effect.void))),
    close: (code: CloseCode, reason = "") => Effect.sync(() => socket.close(code, reason))
  })
})

/** What the library would refuse in words of its own. */
const handshake = (headers: HttpServerRequest.HttpServerRequest["headers"]): Effect.Effect<void, InvalidRequest> => {
  const wants: ReadonlyArray<readonly [header: string, form: RegExp, expected: string]> = [
    ["upgrade", /^websocket$/iu, "websocket"],
    ["sec-websocket-key", /^[+/0-9a-z]{22}==$/iu, "16 bytes in base64"],
    ["sec-websocket-version", /^(13|8)$/u, "13"]
  ]
  const details = wants.flatMap(([field, form, expected]) =>
    form.test(headers[field] ?? "") ? [] : [{ field, message: `must be ${expected}` }]
  )
  const offered = headers["sec-websocket-protocol"]?.split(",").map((name) => name.trim()) ?? []
  if (new Set(offered).size < offered.length || !offered.every((name) => /^[!#-'*+.^_`|~0-9a-z-]+$/iu.test(name))) {
    details.push({ field: "sec-websocket-protocol", message: "must be names, each once" })
  }
  return details.length === 0 ? Effect.void : Effect.fail(new InvalidRequest({ details }))
}

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

/**
 * How a connection came to its end: its peer has left for good, or may come back, or broke the protocol (and was told so
 * by the library: 1002, 1007, 1009).
 */
export const endOf = ({ cause, code }: SocketClosed): "left" | "lost" | InvalidRequest | PayloadTooLarge => {
  const broken = (cause as { readonly code?: string } | undefined)?.code
  // 1005: a close frame without a code, what `close()` sends. The others are an echo of ours.
  if (cause === undefined) return code === 1005 || (code in closeCodes && code !== 1012) ? "left" : "lost"
  if (!broken?.startsWith("WS_ERR_")) return "lost"
  return broken === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"
    ? new PayloadTooLarge({ field: "frame", reason: `must be at most ${frameBytesMax} bytes` })
    : InvalidRequest.field("frame", "breaks the WebSocket protocol")
}
