/** What every backend is asked and what it gives back. A dispatcher resolves once the backend has accepted the call. */
import type { Stream } from "effect"
import type { Backend } from "../domain/BackendPolicy.ts"
import type { DispatchFailure, InvalidRequest, StorageUnavailable, VoiceNotReady } from "../domain/Failure.ts"
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

/** One try at a call. */
export interface Attempt {
  /** Longest wait for the first audio, ms. */
  readonly firstAudioMsMax: number
  /** Addresses of nodes that were asked for this call; the dispatcher adds the one it asks. */
  readonly tried: Set<string>
  /** Takes down why it went as it did, one sentence each. */
  readonly note: (sentence: string) => void
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
  /** Whether the same request gives the same samples on any node with this engine and model. */
  readonly deterministic: boolean
  /** To be run once, in the scope of the dispatch. Closing that scope stops the backend at once. */
  readonly audio: Stream.Stream<PcmChunk, DispatchFailure | InvalidRequest>
}

/** What ends a call that a backend has begun, and what it may say before: `InvalidRequest` when no other could speak it. */
export type SpeechFailure = DispatchFailure | InvalidRequest

/** Refusals before the first audio: also what the call itself lacks, whichever backend is asked. */
export type DispatchRefusal = SpeechFailure | StorageUnavailable | VoiceNotReady

/** Whether another backend might do better. */
export const isBackends = (refusal: DispatchRefusal): refusal is DispatchFailure =>
  refusal._tag !== "InvalidRequest" && refusal._tag !== "StorageUnavailable" && refusal._tag !== "VoiceNotReady"
