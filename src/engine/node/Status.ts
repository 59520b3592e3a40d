/** How a call that cannot be served ends on the wire: the codes that `audio.proto` promises. */
import { Metadata, status } from "@grpc/grpc-js"
import type { InvalidRequest } from "../../domain/Failure.ts"
import type { EngineFailed } from "../Engine.ts"
import type { NodeDraining, NodeFull } from "./Admission.ts"
import type { ReferenceNotHeld } from "./References.ts"

export class EngineNotLoaded extends Error {
  readonly _tag = "EngineNotLoaded"
}

/** It has not begun: another node may be able to. */
export class EngineNotReady extends Error {
  readonly _tag = "EngineNotReady"
}

export type Refusal =
  | InvalidRequest
  | EngineFailed
  | NodeFull
  | NodeDraining
  | EngineNotLoaded
  | EngineNotReady
  | ReferenceNotHeld

export interface Status {
  readonly code: status
  readonly details: string
  readonly metadata?: Metadata
}

/** An `INVALID_ARGUMENT` reads `field: message`, so that a gateway can name the field to its caller. */
export const statusOf = (refusal: Refusal): Status => {
  switch (refusal._tag) {
    case "InvalidRequest":
      return {
        code: status.INVALID_ARGUMENT,
        details: refusal.details.map(({ field, message }) => `${field}: ${message}`).join("; ")
      }
    case "EngineNotLoaded":
      return { code: status.NOT_FOUND, details: "engine: not loaded on this node" }
    case "ReferenceNotHeld":
      return { code: status.FAILED_PRECONDITION, details: "reference: not held here" }
    case "EngineNotReady":
      return { code: status.UNAVAILABLE, details: refusal.message }
    case "NodeDraining":
      return draining
    case "NodeFull": {
      const metadata = new Metadata()
      metadata.set("scaiinfer-queued", String(refusal.queued))
      return { code: status.RESOURCE_EXHAUSTED, details: "the node is full", metadata }
    }
    case "EngineFailed":
      return { code: status.INTERNAL, details: "the engine broke while it was speaking" }
  }
}

export const draining: Status = { code: status.UNAVAILABLE, details: "the node is draining" }
export const broken: Status = { code: status.INTERNAL, details: "the node broke" }
