/**
 * Live speech: text comes in as it is written, audio goes out as it is heard. One orchestrator runs every session; a
 * transport (WebSocket, WebRTC, gRPC) only carries its frames.
 *
 * A transport decodes the first frame, `open`s with it, sends `ready`, and then does two things side by side until `take`
 * ends: hands every frame to `receive`, and sends whatever `take` gives, in that order, before it takes more. It decides
 * nothing. When its scope closes first, the session waits 30 s for another transport that resumes it.
 */
import type { Cause, Effect, Scope } from "effect"
import { Context } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { Failure } from "../domain/Failure.ts"
import type { RequestId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import type { LiveFrame, Open } from "../domain/stream/ClientFrame.ts"
import type { CloseCode } from "../domain/stream/CloseCode.ts"
import type { Ready, ServerFrame } from "../domain/stream/ServerFrame.ts"

/** What a transport sends: a frame in its own encoding, or audio as it is (a view: one Opus packet, or whole samples). */
export type OutputItem =
  | { readonly _tag: "frame"; readonly frame: Exclude<ServerFrame, Ready> }
  | { readonly _tag: "audio"; readonly bytes: Uint8Array }

/** How a session came to its end, once `take` has. */
export interface Ending {
  readonly closeCode: CloseCode
  /** For the peer of a close frame: a failure's code, or nothing. */
  readonly reason: string
}

/** A session as one transport has it. */
export interface StreamSession {
  /** To be sent before anything else. */
  readonly ready: Ready
  /**
   * Takes in a frame; never waits and never fails. A transport that got bytes which are no frame gives the failure instead
   * (`VALIDATION_ERROR`, `PAYLOAD_TOO_LARGE`): it ends the session.
   */
  readonly receive: (frame: LiveFrame | Failure) => Effect.Effect<void>
  /**
   * The next items, in order, about 32 KiB of them at most: waits until there are any. Taking again says that the last ones
   * are written. `Done` once everything has been taken and the session is over, or when another transport has resumed it.
   */
  readonly take: Effect.Effect<NonEmptyReadonlyArray<OutputItem>, Cause.Done>
  /** Set once `take` ends. */
  readonly ending: () => Ending
  /**
   * Calls `react` when the session ends while the transport may be waiting for its client, and what lies in its buffers
   * should not be heard or cannot be sent: the voice was stopped, or the client does not read. `take` has the `error` frame,
   * but a transport that is still writing has to break off by itself.
   */
  readonly onCut: (react: (ending: Ending) => void) => void
}

export interface OpenOptions {
  /** Whether the session waits for another transport when this one goes; else it is aborted at once. */
  readonly resumable: boolean
}

export class StreamService extends Context.Service<StreamService, {
  /**
   * Opens a session, or takes one up again where `open.resume` says so. The transport has it until the scope closes.
   * Everything that refuses a synthesis refuses here: permission is the transport's to check, the rest is not.
   */
  readonly open: (
    caller: AuthUser,
    requestId: RequestId,
    open: Open,
    options?: OpenOptions
  ) => Effect.Effect<StreamSession, Failure, Scope.Scope>
  /**
   * From now on no session is opened, and each that lives ends with `SCAISPEAK_SHUTTING_DOWN` when it has spoken what is
   * buffered, or after `SCAISPEAK_DRAIN_MS`. Returns at once.
   */
  readonly drain: Effect.Effect<void>
  /** Sessions that live in this process, waiting ones included. */
  readonly sessions: () => number
}>()("scaispeak/StreamService") {}
