/**
 * What an engine is inside its own process: a model that was read, and pieces of speech made one at a time.
 *
 * `Host.ts` serves it; `EngineProcess.ts` is the other side. Nothing here may throw to be heard, but {@link CannotLoad} and
 * {@link Refused}.
 */
import type { EngineAbilities, SynthesizeRequest } from "../../proto/scaiinfer/v1/audio.ts"
import type { Preset } from "../Engine.ts"

/** What a node tells of a model, and checks calls against. Plain data: it travels between the processes. */
export interface Facts {
  readonly model: string
  readonly modelVersion: string
  /** ISO 639-1. Empty when nobody knows: then every language is taken. */
  readonly languages: ReadonlyArray<string>
  readonly abilities: EngineAbilities
  readonly presets: ReadonlyArray<Preset>
  /** Hz. */
  readonly sampleRate: number
  readonly deterministic: boolean
  /** Parameters that change the sound; `warmup_trim_ms` always does. */
  readonly honours: ReadonlyArray<"speed" | "cfg_value" | "instructions" | "seed">
  /** Whether a reference is of no use without what is said in it. */
  readonly transcriptNeeded: boolean
}

export interface Model {
  readonly facts: Facts
  /** A call whose sound proves that the model works. */
  readonly probe: SynthesizeRequest
  /** The pieces of a call in order, pulled one by one: each is made in its turn, no two at once. */
  readonly pieces: (request: SynthesizeRequest) => Iterable<Piece>
}

/** Makes some seconds of speech and hands it to `out` as it comes. */
export type Piece = (out: Out) => Promise<void> | void

export interface Out {
  /** Words are placed from the start of the piece. False once nobody listens: the piece should stop. */
  readonly audio: (samples: Int16Array, words?: ReadonlyArray<PlacedWord>) => boolean
}

export interface PlacedWord {
  readonly text: string
  /** Samples. */
  readonly start: number
  readonly end: number
}

/** The model cannot be used; the message is for an operator. `lasting` when trying again soon cannot help. */
export class CannotLoad extends Error {
  readonly lasting: boolean
  constructor(message: string, lasting = false) {
    super(message)
    this.lasting = lasting
  }
}

/** The caller's fault, with the field of `SynthesizeRequest` or `SynthesisParams` that it lies in. */
export class Refused extends Error {
  readonly field: string
  constructor(field: string, message: string) {
    super(message)
    this.field = field
  }
}

/** s16 from samples of -1 to 1; what is not a number is silence. */
export const fromFloat = (samples: Float32Array): Int16Array => {
  const made = new Int16Array(samples.length)
  for (let i = 0; i < samples.length; i++) made[i] = Math.max(-1, Math.min(1, samples[i]!)) * 32767
  return made
}
