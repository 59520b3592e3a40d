/**
 * Whether a spoken consent says its text, by forced alignment: every word has to be found in the recording, in order.
 *
 * `soundswallower` and its models are optional. Where they are missing, and for a text whose words its dictionary does not
 * know, there is no answer; where a score is required that is a refusal, since a consent could be made to be of that sort.
 * Only a language without a model is never judged. The measure tells another text from this one; it does not tell who
 * speaks, nor a word that was changed.
 */
import { Context, Effect, Layer, Result } from "effect"
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
const listener = new URL("./ConsentAlignment/worker.ts", import.meta.url)

export interface ConsentAlignmentOptions {
  readonly mode: "off" | "record" | "require"
  /** Least score when required. */
  readonly scoreMin: number
  /** Of the listening thread. */
  readonly worker?: URL
}

export class ConsentAlignment extends Context.Service<ConsentAlignment, {
  /**
   * Null when nothing can be said. Fails when a score is required and this one is too low, or is not to be had in a language
   * that there is a model of. `field`: of the recording.
   */
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

const make = Effect.fnUntraced(function*({ mode, scoreMin, worker = listener }: ConsentAlignmentOptions) {
  const pool = yield* WorkerPool.make<AlignJob, AlignMade>({
    size: 1,
    entry: worker,
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
    if (!alignable(language)) return null
    const unjudged = (field: string, why: string) =>
      mode === "require" ? Effect.fail(InvalidRequest.field(field, why)) : Effect.succeed(null)
    if (sound.samples.length > secondsMax * sound.sampleRate) {
      return yield* unjudged(field, `is longer than the ${secondsMax} s that can be held against consent_text`)
    }
    const samples = atRate(sound.samples, sound.sampleRate, rate)
    const listened = yield* Effect.result(pool.run({}, { samples, text, language }))
    if (Result.isFailure(listened)) {
      yield* Effect.logWarning("a consent cannot be aligned", { reason: listened.failure.reason })
      return yield* unjudged(field, "could not be held against consent_text: this server cannot listen to it now")
    }
    const { alignment } = listened.success
    if (alignment === null) {
      return yield* unjudged("consent_text", "has too few words that the dictionary knows to be found in consent")
    }
    if (mode === "require" && alignment.score < scoreMin) {
      return yield* InvalidRequest.field(field, `does not say consent_text: ${alignment.score}, at least ${scoreMin}`)
    }
    return alignment
  })

  return ConsentAlignment.of({ check })
})
