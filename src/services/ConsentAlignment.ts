/**
 * Whether a spoken consent says its text, by forced alignment: every word has to be found in the recording, in order.
 *
 * `soundswallower` and its models are optional: where they are missing, for a language without a model, and for a text
 * whose words its dictionary does not know, there is no answer, and nobody is refused for that. The measure tells another
 * text from this one; it does not tell who speaks, nor a word that was changed.
 */
import { Context, Effect, Layer } from "effect"
import { alignable } from "../domain/ConsentAlignment.ts"
import type { ConsentAlignment as Measured } from "../domain/ConsentAlignment.ts"
import { InvalidRequest } from "../domain/Failure.ts"
import type { DecodedClip } from "./AudioDecoder.ts"
import type { AlignJob, AlignMade } from "./ConsentAlignment/worker.ts"
import { atRate } from "./Preflight/Measure.ts"
import * as WorkerPool from "./WorkerPool.ts"

/** A minute of speech takes six seconds of an idle core. */
const alignMillisMax = 60_000
/** Longer consents are judged by nobody: the text would have to be cut, too. */
const secondsMax = 60
const rate = 16_000

export interface ConsentAlignmentOptions {
  readonly mode: "off" | "record" | "require"
  /** Least score when required. */
  readonly scoreMin: number
}

export class ConsentAlignment extends Context.Service<ConsentAlignment, {
  /** Null when nothing can be said. Fails when a score is required and this one is too low. `field`: of the recording. */
  readonly check: (
    clip: DecodedClip,
    text: string,
    language: string,
    field: string
  ) => Effect.Effect<Measured | null, InvalidRequest>
}>()("scaispeak/ConsentAlignment") {
  static readonly layer = (options: ConsentAlignmentOptions) =>
    options.mode === "off" ? ConsentAlignment.layerOff : Layer.effect(ConsentAlignment, make(options))

  static readonly layerOff = Layer.succeed(ConsentAlignment, { check: () => Effect.succeed(null) })
}

const make = Effect.fnUntraced(function*({ mode, scoreMin }: ConsentAlignmentOptions) {
  const pool = yield* WorkerPool.make<AlignJob, AlignMade>({
    size: 1,
    entry: new URL("./ConsentAlignment/worker.ts", import.meta.url),
    workerData: undefined,
    jobMillisMax: alignMillisMax,
    lazy: true
  })

  const check = Effect.fn("ConsentAlignment.check")(function*(
    { sound }: DecodedClip,
    text: string,
    language: string,
    field: string
  ) {
    if (!alignable(language) || sound.samples.length > secondsMax * sound.sampleRate) return null
    const samples = atRate(sound.samples, sound.sampleRate, rate)
    const { alignment } = yield* Effect.catchTag(
      pool.run({}, { samples, text, language }),
      "WorkerFailed",
      ({ reason }) => Effect.as(Effect.logWarning("a consent cannot be aligned", { reason }), { alignment: null })
    )
    if (mode === "require" && alignment !== null && alignment.score < scoreMin) {
      return yield* InvalidRequest.field(field, `does not say consent_text: ${alignment.score}, at least ${scoreMin}`)
    }
    return alignment
  })

  return ConsentAlignment.of({ check })
})
