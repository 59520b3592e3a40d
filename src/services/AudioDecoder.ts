/**
 * An uploaded clip to its sound: mono floats at the rate of the file, from WAV, MP3, FLAC, Ogg with Opus or Vorbis, WebM
 * with Opus, and, where the machine has ffmpeg, AAC in MP4 or ADTS.
 *
 * What a file is, its content says. It is decoded in a thread of its own, which may take so long, so much memory and so
 * many seconds of sound and no more: a file made to break or hang a decoder costs its own call and that thread. A longer
 * recording is cut, and says so.
 */
import { Context, Effect, Layer } from "effect"
import { AudioUndecodable } from "../domain/Failure.ts"
import type { Container } from "./AudioDecoder/Sniff.ts"
import type { Sound } from "./AudioDecoder/Take.ts"
import type { DecodeJob, DecodeMade } from "./AudioDecoder/worker.ts"
import * as WorkerPool from "./WorkerPool.ts"

/** Two minutes of stereo take the slowest format about five seconds of an idle core. */
const decodeMillisMax = 10_000
/** Of JavaScript objects; the file and its samples lie outside, and have bounds of their own. */
const heapMebibytes = 128

export interface AudioFacts {
  readonly container: "wav" | "mp3" | "flac" | "ogg" | "webm" | "mp4" | "adts"
  readonly codec: "pcm" | "mp3" | "flac" | "opus" | "vorbis" | "aac"
  /** Hz; Opus is always 48 000. */
  readonly sampleRate: number
  readonly channels: number
  readonly durationMs: number
}

export interface DecodedClip {
  readonly facts: AudioFacts
  readonly sound: Sound
}

export class AudioDecoder extends Context.Service<AudioDecoder, {
  /** `path`: a file that stays as it is meanwhile. `field`: what the caller named it, for the refusal. */
  readonly decode: (clip: {
    readonly path: string
    readonly field: string
  }) => Effect.Effect<DecodedClip, AudioUndecodable>
}>()("scaispeak/AudioDecoder") {
  /** `ffmpeg`: name or path of the program; AAC is refused while there is none. `workers`: clips decoded at once. */
  static readonly layer = (options: { readonly ffmpeg: string; readonly workers?: number }) =>
    Layer.effect(
      AudioDecoder,
      Effect.map(
        WorkerPool.make<DecodeJob, DecodeMade>({
          size: options.workers ?? 1,
          entry: new URL("./AudioDecoder/worker.ts", import.meta.url),
          workerData: undefined,
          jobMillisMax: decodeMillisMax,
          lazy: true,
          resourceLimits: { maxOldGenerationSizeMb: heapMebibytes }
        }),
        (pool) =>
          AudioDecoder.of({
            decode: Effect.fn("AudioDecoder.decode")(function*({ field, path }) {
              const refused = (reason: string) => new AudioUndecodable({ field, reason })
              const made = yield* pool.run({}, { path, ffmpeg: options.ffmpeg }).pipe(
                Effect.tapError(({ reason }) => Effect.logWarning("a clip broke its decoder", { reason })),
                Effect.mapError(() => refused("breaks its decoder, or takes longer than one may"))
              )
              return "undecodable" in made
                ? yield* refused(made.undecodable)
                : { facts: factsOf(made.container, made.sound), sound: made.sound }
            })
          })
      )
    )
}

const kinds: Record<Container, Pick<AudioFacts, "container" | "codec">> = {
  wav: { container: "wav", codec: "pcm" },
  mp3: { container: "mp3", codec: "mp3" },
  flac: { container: "flac", codec: "flac" },
  "ogg-opus": { container: "ogg", codec: "opus" },
  "ogg-vorbis": { container: "ogg", codec: "vorbis" },
  webm: { container: "webm", codec: "opus" },
  mp4: { container: "mp4", codec: "aac" },
  adts: { container: "adts", codec: "aac" }
}

const factsOf = (container: Container, { channels, sampleRate, samples }: Sound): AudioFacts => ({
  ...kinds[container],
  sampleRate,
  channels,
  durationMs: Math.round((samples.length * 1000) / sampleRate)
})
