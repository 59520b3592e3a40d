/** What turns samples into one format's bytes. */
import type { SampleRate } from "../../domain/AudioFormat.ts"
import type { ByteSink } from "./ByteSink.ts"

/** Writes into the sink that it was made with; its file header is there from the start. */
export interface Codec {
  readonly write: (samples: Int16Array) => void
  /** Writes what is still held of a stream that goes on after; for codecs that hold anything. */
  readonly settle?: () => void
  /** Writes what is still held, and whatever closes the file. */
  readonly end: () => void
  /** Gives memory outside the JavaScript heap back. Once, at any time. */
  readonly free: () => void
}

/** `sampleRate`: of the samples it gets. `declared`: what the file says if that can be another (Opus). Hz. */
export type MakeCodec = (sampleRate: SampleRate, sink: ByteSink, declared: SampleRate) => Codec
