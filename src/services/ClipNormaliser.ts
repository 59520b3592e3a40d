/**
 * Turns a recording into what engines take as a reference: 16 kHz, mono, s16le.
 *
 * Promises: the same recording gives the same bytes wherever it is normalised, so that their hash names them; one that is
 * 16 kHz mono 16-bit already passes bit for bit; nothing clips; what cannot be used is refused with a reason that its
 * owner can read. `ClipNormaliser/Normalise.ts` has the arithmetic and the limits.
 *
 * Whatever needs arithmetic is done in one thread, started when the first such clip comes.
 */
import { Context, Effect, Layer, Result, Schema } from "effect"
import type { Sound } from "./AudioDecoder/Take.ts"
import type { NormaliseMade } from "./ClipNormaliser/Normalise.ts"
import { recordingBytesMax } from "./ClipNormaliser/Normalise.ts"
import { isNormal, readWav, samplesOf } from "./ClipNormaliser/WavFile.ts"
import * as WorkerPool from "./WorkerPool.ts"

/** The recording is not one that a voice can follow. `reason` continues "The clip …" and ends without a stop. */
export class ReferenceUnusable extends Schema.TaggedError<ReferenceUnusable>()("ReferenceUnusable", {
  reason: Schema.String
}) {
  override get message(): string {
    return `The clip ${this.reason}.`
  }
}

/** 25 s at 48 kHz take 0.2 s on an idle core; two minutes at the most awkward rate 8 s. */
const clipMillisMax = 60_000

export class ClipNormaliser extends Context.Service<ClipNormaliser, {
  /** `recording`: the bytes of a WAV file. Answers s16le mono at 16 kHz, in a buffer of its own. */
  readonly normalise: (recording: Uint8Array) => Effect.Effect<Uint8Array<ArrayBuffer>, ReferenceUnusable>
  /** The same of a clip that is decoded already, whatever it came as. */
  readonly normaliseSound: (sound: Sound) => Effect.Effect<Uint8Array<ArrayBuffer>, ReferenceUnusable>
}>()("scaispeak/ClipNormaliser") {
  static readonly layer = Layer.effect(
    ClipNormaliser,
    Effect.map(
      WorkerPool.make<Uint8Array | Sound, NormaliseMade>({
        size: 1,
        entry: new URL("./ClipNormaliser/worker.ts", import.meta.url),
        workerData: undefined,
        jobMillisMax: clipMillisMax,
        lazy: true
      }),
      (pool) => {
        const run = Effect.fnUntraced(function*(recording: Uint8Array | Sound) {
          const made = yield* Effect.orDie(pool.run({}, recording))
          return "pcm" in made ? made.pcm : yield* unusable(made.unusable)
        })
        return ClipNormaliser.of({
          normaliseSound: Effect.fn("ClipNormaliser.normaliseSound")(run),
          normalise: Effect.fn("ClipNormaliser.normalise")(function*(recording: Uint8Array) {
            if (recording.length > recordingBytesMax) {
              return yield* unusable(`is larger than ${recordingBytesMax} bytes`)
            }
            const wav = readWav(recording)
            if (Result.isFailure(wav)) return yield* unusable(wav.failure)
            if (isNormal(wav.success)) return samplesOf(wav.success)
            return yield* run(recording)
          })
        })
      }
    )
  )
}

const unusable = (reason: string) => new ReferenceUnusable({ reason })
