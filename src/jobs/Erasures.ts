/** Carries erasures out: at once those that this process was asked for, and every few seconds whatever else is due. */
import { Effect, Layer } from "effect"
import { Erasure } from "../services/Erasure.ts"

/** How long an erasure waits whose process died, beyond its lease. */
const lookEvery = "5 seconds"

export const layer = Layer.effectDiscard(
  Effect.gen(function*() {
    const erasure = yield* Erasure
    const due = Effect.repeat(erasure.run, { until: (count) => count === 0 })
    yield* due.pipe(
      Effect.catchCause((cause) => Effect.logWarning("erasures wait", cause)),
      Effect.andThen(Effect.timeoutOption(erasure.asked, lookEvery)),
      Effect.forever,
      Effect.forkScoped
    )
  })
)
