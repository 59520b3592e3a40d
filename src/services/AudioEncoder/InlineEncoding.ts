/**
 * Encodings that cost less than handing them to a thread: PCM and WAV at the source's own rate, whose samples are never
 * copied, and G.711 without resampling, which is one table look-up a sample.
 */
import { Cause, Effect, Pull } from "effect"
import { isReadonlyArrayNonEmpty, type NonEmptyReadonlyArray } from "effect/Array"
import { bytesPerSample } from "../../domain/AudioFormat.ts"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import type { EncodingOptions } from "./Encoding.ts"
import { compand } from "./G711.ts"
import { wavHeader } from "./Wav.ts"

export interface InlineEncoding {
  /** What the file begins with. */
  readonly header: ReadonlyArray<Uint8Array>
  readonly encode: (speech: ReadonlyArray<Uint8Array>) => ReadonlyArray<Uint8Array>
}

/** Nothing if the encoding is work for a thread. */
export const inlineEncoding = (options: EncodingOptions): InlineEncoding | undefined => {
  if (options.sourceRate !== options.targetRate) return undefined
  switch (options.format) {
    case "pcm":
      return { header: [], encode: (speech) => speech }
    case "wav":
      return { header: [wavHeader(options.targetRate)], encode: (speech) => speech }
    case "mulaw":
    case "alaw":
      return { header: [], encode: companded(options.format) }
    default:
      return undefined
  }
}

const companded = (law: "mulaw" | "alaw") => (speech: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  const samples = speech.reduce((sum, pcm) => sum + pcm.length / bytesPerSample, 0)
  if (samples === 0) return []
  const codes = new Uint8Array(samples)
  let offset = 0
  for (const pcm of speech) {
    compand(law, pcm, codes.subarray(offset))
    offset += pcm.length / bytesPerSample
  }
  return [codes]
}

/** The output's pull: the header goes out with the first speech, or alone if there was none. */
export const pullInline = <E, R>(
  speech: Pull.Pull<NonEmptyReadonlyArray<PcmChunk>, E, void, R>,
  encoding: InlineEncoding
): Pull.Pull<NonEmptyReadonlyArray<Uint8Array>, E, void, R> => {
  let header = encoding.header
  const next: Pull.Pull<NonEmptyReadonlyArray<Uint8Array>, E, void, R> = Effect.flatMap(speech, (chunks) => {
    const bytes = encoding.encode(chunks.map((chunk) => chunk.pcm).filter((pcm) => pcm.length > 0))
    if (!isReadonlyArrayNonEmpty(bytes)) return next
    if (!isReadonlyArrayNonEmpty(header)) return Effect.succeed(bytes)
    const first = [...header, ...bytes] as const
    header = []
    return Effect.succeed(first as unknown as NonEmptyReadonlyArray<Uint8Array>)
  })
  return Pull.catchDone(next, () => {
    if (!isReadonlyArrayNonEmpty(header)) return Cause.done()
    const alone = header
    header = []
    return Effect.succeed(alone)
  }) as Pull.Pull<NonEmptyReadonlyArray<Uint8Array>, E, void, R>
}
