/**
 * Turns speech into every wire format while it is made.
 *
 * Promises: the first bytes come before the speech has ended, and none before it has begun, so a failure before the
 * first sound is still a plain failure; the bytes do not depend on how the speech was cut; interruption or failure of
 * either side frees the encoder at once; at most one batch of speech waits inside an encoder.
 *
 * PCM and WAV at the voice's own rate pass through as they are, and G.711 needs only a table; everything else is done
 * in threads ({@link EncoderThreads}).
 */
import { Context, Effect, Layer, Scope, Stream } from "effect"
import type { PcmChunk } from "../domain/PcmChunk.ts"
import { EncoderThreads } from "./AudioEncoder/EncoderThreads.ts"
import type { EncodingOptions } from "./AudioEncoder/Encoding.ts"
import { inlineEncoding, pullInline } from "./AudioEncoder/InlineEncoding.ts"
import { openLive } from "./AudioEncoder/LiveEncoding.ts"
import type { LiveEncoding, LiveOptions } from "./AudioEncoder/LiveEncoding.ts"
import { pullRemote } from "./AudioEncoder/RemotePull.ts"
import { held } from "./Held.ts"

export { completed, ofLength } from "./AudioEncoder/Completed.ts"
export type { LiveEncoding } from "./AudioEncoder/LiveEncoding.ts"
export { rateFor } from "./AudioEncoder/OutputRate.ts"

export class AudioEncoder extends Context.Service<AudioEncoder, {
  /**
   * Encodes speech as it is made: s16le mono at `sourceRate` Hz to a file of `format` at `targetRate` Hz, which must be
   * one that the format can carry (`rateFor` finds it). The output ends when the input ends. An encoder that breaks is
   * a defect.
   */
  readonly encode: (
    options: EncodingOptions
  ) => <E, R>(speech: Stream.Stream<PcmChunk, E, R>) => Stream.Stream<Uint8Array, E, R>
  /** Opens an encoding for a live session, until the scope closes. An encoder that breaks is a defect. */
  readonly live: (options: LiveOptions) => Effect.Effect<LiveEncoding, never, Scope.Scope>
  /** Encodings at work now. */
  readonly active: Effect.Effect<number>
}>()("scaispeak/AudioEncoder") {
  static readonly layerNoDeps: Layer.Layer<AudioEncoder, never, EncoderThreads> = Layer.effect(
    AudioEncoder,
    Effect.suspend(() => make)
  )
  /** `workers`: threads kept for encoding, at least one. */
  static readonly layer = (options: { readonly workers: number }): Layer.Layer<AudioEncoder> =>
    AudioEncoder.layerNoDeps.pipe(Layer.provide(EncoderThreads.layer(options)))
}

const make = Effect.gen(function*() {
  const threads = yield* EncoderThreads
  let active = 0

  const encode = (options: EncodingOptions) => <E, R>(speech: Stream.Stream<PcmChunk, E, R>) =>
    Stream.transformPullBracket(speech, (pull, _, scope) =>
      Effect.gen(function*() {
        active++
        yield* Scope.addFinalizer(scope, Effect.sync(() => active--))
        const inline = inlineEncoding(options)
        if (inline !== undefined) return pullInline(pull, inline)
        return pullRemote(pull, yield* Scope.provide(threads.open(options), scope), options.patient === true)
      }))

  const live = (options: LiveOptions) =>
    Effect.andThen(
      held(Effect.sync(() => active++), () => Effect.sync(() => active--)),
      openLive(threads, options)
    )

  return AudioEncoder.of({ encode, live, active: Effect.sync(() => active) })
})
