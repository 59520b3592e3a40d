/**
 * Audio of a live session: pieces go in as they are made, what can be sent comes out, and the encoder never ends, so that
 * sentences join without a seam.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { SampleRate } from "../../domain/AudioFormat.ts"
import type { StreamCodec } from "../../domain/stream/StreamOutput.ts"
import type { EncoderThreads } from "./EncoderThreads.ts"
import type { EncodingOptions } from "./Encoding.ts"
import { inlineEncoding } from "./InlineEncoding.ts"
import { packetsOf } from "./OpusPackets.ts"

export interface LiveOptions {
  readonly codec: StreamCodec
  /** Hz of the PCM that comes in. */
  readonly sourceRate: number
  /** Hz of the audio that goes out. */
  readonly targetRate: SampleRate
}

export interface LiveEncoding {
  /**
   * s16le PCM, some thousand samples at most → what is settled by now: whole Opus packets, or whole samples in one piece;
   * perhaps nothing. PCM may come out as it went in, so what goes in is not touched again, nor what comes out. One call at a
   * time; one that was interrupted is the last.
   */
  readonly push: (pcm: Uint8Array) => Effect.Effect<ReadonlyArray<Uint8Array>>
  /** The same at once, any number of samples, where encoding is no work for a thread. */
  readonly now?: (pcm: Uint8Array) => ReadonlyArray<Uint8Array>
  /** Everything up to the last sample that was pushed. Opus fills its packet with silence. */
  readonly settle: Effect.Effect<ReadonlyArray<Uint8Array>>
}

const nothing: ReadonlyArray<Uint8Array> = []

export const openLive = (
  threads: EncoderThreads["Service"],
  { codec, sourceRate, targetRate }: LiveOptions
): Effect.Effect<LiveEncoding, never, Scope.Scope> => {
  const options: EncodingOptions = { format: codec === "opus" ? "opus-packets" : codec, sourceRate, targetRate }
  const inline = inlineEncoding(options)
  if (inline !== undefined) {
    const now = (pcm: Uint8Array) => inline.encode([pcm])
    return Effect.succeed({
      now,
      push: (pcm) => Effect.sync(() => now(pcm)),
      settle: Effect.succeed(nothing)
    })
  }
  const pieces = codec === "opus" ? packetsOf : (bytes: Uint8Array) => bytes.length === 0 ? nothing : [bytes]
  return Effect.map(threads.open(options), ({ push, settle }) => ({
    push: (pcm) => Effect.map(push(new Uint8Array(pcm)), pieces),
    settle: Effect.map(settle, pieces)
  }))
}
