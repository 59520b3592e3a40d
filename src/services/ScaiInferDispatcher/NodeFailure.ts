/** How a call to a node ends when it ends badly: what that says about the node, and what the caller is told. */
import { status } from "@grpc/grpc-js"
import type { ServiceError } from "@grpc/grpc-js"
import { Cause } from "effect"
import {
  BackendFailed,
  BackendSaturated,
  BackendTimeout,
  BackendUnavailable,
  InvalidRequest
} from "../../domain/Failure.ts"
import type { SpeechFailure } from "../Dispatch.ts"
import * as EventReader from "../EventReader.ts"

/** gRPC's word, a silence, or a call that does not keep to the contract. */
export type NodeError = ServiceError | EventReader.Silence | BackendFailed

/** The node does not keep to the contract. */
export const broken = (message: string) => new BackendFailed({ backend: "A", cause: new Error(message) })

const isStatus = (error: NodeError): error is ServiceError =>
  !(error instanceof EventReader.Silence) && !(error instanceof BackendFailed)

/** It was thought to hold a clip, and does not. */
export const isNotHeld = (error: NodeError | Cause.Done): error is ServiceError =>
  !Cause.isDone(error) && isStatus(error) && error.code === status.FAILED_PRECONDITION

/** Seconds a queued call waits, for the caller of a full node: about one sentence each. */
const secondsPerQueuedCall = 0.1

/** Whether the end counts against the node: it broke, or kept silent. Being full, leaving or refusing does not. */
export const isFailing = (error: NodeError): boolean =>
  !isStatus(error) ||
  ![
    status.INVALID_ARGUMENT,
    status.RESOURCE_EXHAUSTED,
    status.NOT_FOUND,
    status.FAILED_PRECONDITION,
    status.UNAVAILABLE,
    status.CANCELLED
  ].includes(error.code)

/** An UNAVAILABLE of the connection's own, as grpc-js words it, and none that a node has sent. */
export const isDisconnected = (error: NodeError): error is ServiceError =>
  isStatus(error) && error.code === status.UNAVAILABLE &&
  /connection|ECONN|EPIPE|socket|dropped|GOAWAY/iu.test(error.details)

/** Fields of the request as the caller knows them, by the names that a node uses. */
const wireFields: Record<string, string> = {
  voice: "voice_id",
  reference: "voice_id",
  design_prompt: "voice_id",
  language: "language_hint",
  text: "text",
  speed: "speed",
  warmup_trim_ms: "warmup_trim_ms"
}

/** gRPC status to failure. A node names the field that it refuses in front of its reason: `language: only English`. */
export const toFailure = (error: NodeError): SpeechFailure => {
  if (error instanceof BackendFailed) return error
  if (error instanceof EventReader.Silence) return new BackendTimeout({ backend: "A", waitedMs: error.waitedMs })
  switch (error.code) {
    case status.INVALID_ARGUMENT: {
      const [, field, reason] = /^(\w+): (.*)$/su.exec(error.details) ?? []
      return InvalidRequest.field(wireFields[field ?? ""] ?? "text", reason ?? error.details)
    }
    case status.RESOURCE_EXHAUSTED: {
      const queued = Number(error.metadata.get("scaiinfer-queued")[0] ?? 0)
      return new BackendSaturated({ backend: "A", retryAfter: Math.max(1, Math.ceil(queued * secondsPerQueuedCall)) })
    }
    case status.UNAVAILABLE:
    case status.NOT_FOUND:
      return new BackendUnavailable({ reasons: [`A cannot serve the call: ${error.details}.`] })
    case status.DEADLINE_EXCEEDED:
      return new BackendTimeout({ backend: "A", waitedMs: 0 })
    default:
      return new BackendFailed({ backend: "A", cause: error })
  }
}
