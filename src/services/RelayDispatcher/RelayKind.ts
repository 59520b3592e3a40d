/**
 * What one kind of relay knows that the others do not: how it is asked for speech, which parameters it honours, where it
 * lists its speakers and how its errors read. `RelayDispatcher` does everything else.
 */
import type { Redacted } from "effect"
import type { HttpClientRequest } from "effect/http"
import type { SpeechParams } from "../../domain/SpeechParams.ts"
import type { DispatchRequest } from "../Dispatch.ts"
import type { RelaySpeaker } from "./RelaySpeaker.ts"

export interface RelayKind {
  /** Puts the relay's key where this kind looks for it. */
  readonly authorize: (
    request: HttpClientRequest.HttpClientRequest,
    key: Redacted.Redacted
  ) => HttpClientRequest.HttpClientRequest
  /** The request for speech, its path below the relay's URL, and parameters that it could not take as they are. */
  readonly speech: (request: DispatchRequest, speaker: string) => {
    readonly request: HttpClientRequest.HttpClientRequest
    readonly ignored: ReadonlyArray<keyof SpeechParams>
  }
  /** Hz of raw PCM in a reply that does not say. */
  readonly sampleRate: number
  /** Speakers that are known without asking; the relay's own list goes before them. */
  readonly presets: ReadonlyArray<RelaySpeaker>
  /** Where speakers are listed, the usual place first. Empty: this relay lists none. */
  readonly voicePaths: ReadonlyArray<string>
  /** Reads such a list; empty when it is none. */
  readonly speakersOf: (body: unknown) => ReadonlyArray<RelaySpeaker>
  /** A path that costs nothing to ask. */
  readonly probePath: string
  /** The machine-readable part of an error body, as the relay wrote it. */
  readonly errorCode: (body: unknown) => unknown
}

/** The value under the keys, or undefined where there is none. */
export const dig = (value: unknown, ...keys: ReadonlyArray<string>): unknown =>
  keys.reduce<unknown>(
    (inner, key) => typeof inner === "object" && inner !== null ? (inner as Record<string, unknown>)[key] : undefined,
    value
  )
