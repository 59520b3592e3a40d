/**
 * What a node asks of an engine: who it is, which voices it has, and a text spoken as a stream.
 *
 * A node holds any number of engines side by side. An engine knows nothing of gRPC, queues or other calls; it bounds its
 * own work and stops it when the stream is abandoned.
 */
import { type Effect, Schema, type Stream } from "effect"
import type { InvalidRequest } from "../domain/Failure.ts"
import type { PcmChunk } from "../domain/PcmChunk.ts"
import type { EngineAbilities, EngineState, SynthesizeRequest } from "../proto/scaiinfer/v1/audio.ts"

/** The engine broke; the call cannot be finished. `reason` is for the node's log and its peer, never a text that is spoken. */
export class EngineFailed extends Schema.TaggedError<EngineFailed>()("EngineFailed", { reason: Schema.String }) {
  override get message(): string {
    return this.reason
  }
}

/** A voice that comes with the engine. */
export interface Preset {
  /** What `SynthesizeRequest.preset_voice` takes. */
  readonly name: string
  readonly displayName: string
  readonly description: string
  /** ISO 639-1. */
  readonly languages: ReadonlyArray<string>
  readonly gender: "female" | "male" | "neutral" | "unspecified"
  readonly styleTags: ReadonlyArray<string>
}

/** A text that can be spoken, not yet begun. */
export interface Speech {
  /** Hz. */
  readonly sampleRate: number
  /** Wire names of the parameters that were given and change nothing. */
  readonly ignoredParams: ReadonlyArray<string>
  /** Whether the same request gives the same samples wherever this engine, model and version speak it. */
  readonly deterministic: boolean
  /**
   * In order and made as it is pulled, a bounded way ahead. Word times count from the start of this stream's audio.
   * Interrupting it drops what is not begun and abandons what is.
   */
  readonly audio: Stream.Stream<PcmChunk, EngineFailed | InvalidRequest>
}

/** Facts may change while the engine lives, as when its model is read: they are read anew each time. */
export interface Engine {
  /** Engine kind, as in `SynthesizeRequest.engine`. */
  readonly name: string
  readonly state: EngineState
  /** Why it is not ready, for an operator; empty when it is. */
  readonly stateReason: string
  readonly model: string
  readonly modelVersion: string
  /** ISO 639-1. */
  readonly languages: ReadonlyArray<string>
  readonly abilities: EngineAbilities
  readonly presets: ReadonlyArray<Preset>
  /**
   * Refuses what this engine can never speak; makes no sound yet. A reference comes with its samples, whatever the
   * caller sent.
   */
  readonly speak: (request: SynthesizeRequest) => Effect.Effect<Speech, EngineFailed | InvalidRequest>
  /** Pieces of speech that are being made now, abandoned ones included. */
  readonly running: () => number
}
