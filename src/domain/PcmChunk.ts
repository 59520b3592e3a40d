/** One piece of speech on its way from a backend to a surface. */
import { Schema } from "effect"

/** Whether the engine measured a word's times or somebody estimated them. */
export const WordSource = Schema.Literals(["native", "estimated"])

/** When a word is heard, in ms from the start of the synthesis. */
export const SpokenWord = Schema.Struct({
  text: Schema.String,
  startMs: Schema.Natural,
  endMs: Schema.Natural,
  source: WordSource
}).pipe(Schema.encodeKeys({ startMs: "start_ms", endMs: "end_ms" }))
export type SpokenWord = typeof SpokenWord.Type

export interface PcmChunk {
  /** s16le mono at the plan's sample rate; whole samples; a view, to be read before the next chunk is pulled or copied. */
  readonly pcm: Uint8Array
  /** Words whose times became known with this chunk, in order. Usually empty. */
  readonly words: ReadonlyArray<SpokenWord>
}
