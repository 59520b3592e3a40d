/** Speech as the pipeline hands it over, and what an encoder makes of it. */
import { Deferred, Effect, Fiber, Stream } from "effect"
import type { AudioFormat, SampleRate } from "../../../src/domain/AudioFormat.ts"
import type { PcmChunk } from "../../../src/domain/PcmChunk.ts"
import { AudioEncoder } from "../../../src/services/AudioEncoder.ts"

export interface Options {
  readonly format: AudioFormat
  readonly sourceRate: number
  readonly targetRate: SampleRate
}

/** One case a format that needs all of its parts: a resampler where there can be one, and none. */
export const hardCases: ReadonlyArray<Options> = [
  { format: "mp3", sourceRate: 22050, targetRate: 24000 },
  { format: "opus", sourceRate: 22050, targetRate: 48000 },
  { format: "opus", sourceRate: 24000, targetRate: 48000 },
  { format: "wav", sourceRate: 24000, targetRate: 24000 },
  { format: "wav", sourceRate: 22050, targetRate: 8000 },
  { format: "flac", sourceRate: 16000, targetRate: 22050 },
  { format: "pcm", sourceRate: 24000, targetRate: 24000 },
  { format: "pcm", sourceRate: 24000, targetRate: 44100 },
  { format: "mulaw", sourceRate: 8000, targetRate: 8000 },
  { format: "alaw", sourceRate: 24000, targetRate: 8000 }
]

/** One chunk at a time, as it comes from a backend. `cuts`: their lengths in samples, over and over. */
export const speech = (pcm: Uint8Array, cuts: ReadonlyArray<number> = [480]): Stream.Stream<PcmChunk> => {
  const chunks: Array<PcmChunk> = []
  for (let offset = 0; offset < pcm.length;) {
    const end = offset + 2 * cuts[chunks.length % cuts.length]!
    chunks.push({ pcm: pcm.subarray(offset, end), words: [] })
    offset = end
  }
  return Stream.fromIterable(chunks, { chunkSize: 1 })
}

export const encoded = Effect.fnUntraced(function*<E>(options: Options, input: Stream.Stream<PcmChunk, E>) {
  const encoder = yield* AudioEncoder
  return Buffer.concat(yield* input.pipe(encoder.encode(options), Stream.runCollect))
})

/** An encoding of a speech that never ends, caught when everything that could come out has come. */
export const encodedSoFar = Effect.fnUntraced(function*(options: Options, pcm: Uint8Array) {
  const encoder = yield* AudioEncoder
  // Pulled only when the encoder has nothing more to give.
  const drained = yield* Deferred.make<void>()
  const silence = Stream.fromEffect(Effect.andThen(Deferred.succeed(drained, undefined), Effect.never))
  const parts: Array<Uint8Array> = []
  const fiber = yield* Stream.concat(speech(pcm), silence).pipe(
    encoder.encode(options),
    Stream.runForEach((bytes) => Effect.sync(() => parts.push(bytes))),
    Effect.forkScoped
  )
  yield* Deferred.await(drained)
  return { fiber, bytes: Buffer.concat(parts), interrupt: Fiber.interrupt(fiber) }
})
