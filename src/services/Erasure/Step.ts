/** One kind of thing that goes. The steps of an erasure are a table of these. */
import type { Effect } from "effect"
import type { StorageUnavailable } from "../../domain/Failure.ts"

export interface Step<Subject> {
  /** As {@link ErasureCounts} and the verifier call it. */
  readonly kind: string
  /** Removes what there is and says how many; again, what came since. */
  readonly erase: (subject: Subject) => Effect.Effect<number, StorageUnavailable>
  /** How many are there now. */
  readonly left: (subject: Subject) => Effect.Effect<number, StorageUnavailable>
}
