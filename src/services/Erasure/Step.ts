/** One kind of thing that goes. The steps of an erasure are a table of these. */
import { Schema } from "effect"
import type { Effect } from "effect"
import type { StorageUnavailable } from "../../domain/Failure.ts"

export interface Step<Subject> {
  /** As {@link ErasureCounts} and the verifier call it. */
  readonly kind: string
  /** Removes what there is and says how many; again, what came since. What it fails with is waited for. */
  readonly erase: (subject: Subject) => Effect.Effect<number, StorageUnavailable | VoicesPending>
  /** How many are there now. */
  readonly left: (subject: Subject) => Effect.Effect<number, StorageUnavailable>
}

/** A person's erasure is over after those of their voices: so many are still to be carried out. No failure of anything. */
export class VoicesPending extends Schema.TaggedError<VoicesPending>()("VoicesPending", { voices: Schema.Natural }) {}
