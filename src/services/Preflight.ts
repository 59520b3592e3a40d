/**
 * Measures a decoded clip and says whether its voice can be followed. The measuring is done in a thread; a trained
 * detector of speech is asked where a model of one is configured, and its failure is logged and made good.
 */
import { Context, Effect, Layer } from "effect"
import { decideConsent, decideReference, type Preflight as Verdict, type PreflightLimits } from "../domain/Preflight.ts"
import type { DecodedClip } from "./AudioDecoder.ts"
import type { Measured } from "./Preflight/Measure.ts"
import type { MeasureJob } from "./Preflight/worker.ts"
import * as WorkerPool from "./WorkerPool.ts"

/** The first minute at 192 kHz takes ten seconds of an idle core, a detector that hangs eight. */
const measureMillisMax = 60_000

export class Preflight extends Context.Service<Preflight, {
  readonly reference: (clip: DecodedClip) => Effect.Effect<Verdict>
  /** Of a recorded consent. */
  readonly consent: (clip: DecodedClip) => Effect.Effect<Verdict>
}>()("scaispeak/Preflight") {
  /** `vadModel`: path of a Silero model in ONNX, for sherpa-onnx-node. */
  static readonly layer = (options: { readonly limits: PreflightLimits; readonly vadModel: string | undefined }) =>
    Layer.effect(
      Preflight,
      Effect.gen(function*() {
        const pool = yield* WorkerPool.make<MeasureJob, Measured>({
          size: 1,
          entry: new URL("./Preflight/worker.ts", import.meta.url),
          workerData: undefined,
          jobMillisMax: measureMillisMax,
          lazy: true
        })
        const measure = Effect.fn("Preflight.measure")(function*({ sound }: DecodedClip) {
          const { detectorFailed, metrics } = yield* Effect.orDie(pool.run({}, { sound, vadModel: options.vadModel }))
          if (detectorFailed !== undefined) {
            yield* Effect.logWarning("the detector of speech fails", { reason: detectorFailed })
          }
          return metrics
        })
        return Preflight.of({
          reference: (clip) => Effect.map(measure(clip), (metrics) => decideReference(metrics, options.limits)),
          consent: (clip) => Effect.map(measure(clip), decideConsent)
        })
      })
    )
}
