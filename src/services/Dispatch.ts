/** What every backend is asked and what it gives back. A dispatcher resolves once the backend has accepted the call. */
import type { Stream } from "effect"
import type { Backend } from "../domain/BackendPolicy.ts"
import type { DispatchFailure, InvalidRequest } from "../domain/Failure.ts"
import type { PcmChunk } from "../domain/PcmChunk.ts"
import type { SpeechParams } from "../domain/SpeechParams.ts"
import type { Voice } from "../domain/Voice.ts"

export interface DispatchRequest {
  /** The synthesis id, given to the backend for its logs. */
  readonly requestId: string
  readonly text: string
  readonly voice: Voice
  /** ISO 639-1. */
  readonly language: string
  /** Already merged: engine < voice < request. */
  readonly params: SpeechParams
}

export interface Dispatched {
  readonly backend: Backend
  /** Which node speaks; null on B. */
  readonly nodeId: string | null
  readonly engine: string
  readonly model: string
  /** Hz, of `audio`. */
  readonly sampleRate: number
  /** Wire names of given parameters that this backend cannot honour. */
  readonly ignoredParams: ReadonlyArray<string>
  /** To be run once, in the scope of the dispatch. Closing that scope stops the backend at once. */
  readonly audio: Stream.Stream<PcmChunk, DispatchFailure | InvalidRequest>
}

/** Refusals before the first audio: a dispatcher fails with `InvalidRequest` when no backend of its kind could speak this. */
export type DispatchRefusal = DispatchFailure | InvalidRequest
