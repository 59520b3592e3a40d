/**
 * An erasure: everything that the service keeps of a voice, or of a person, goes.
 *
 * What was asked for is out of sight in the moment that it is asked; what remains of it goes step by step behind that, and
 * once more an hour later, for whatever was under way. Afterwards numbers and hashes are left.
 */
import { Schema } from "effect"
import { ErasureId } from "./Ids.ts"

/** Shown to whoever calls a voice that is being erased. */
export const erasureUnderWay = "erasure under way"

/**
 * `pending`: not everything is gone yet. `done`: everything that was found is gone, and the audit says so. `closed`: it was
 * looked for once more.
 */
export const ErasureState = Schema.Literals(["pending", "done", "closed"])
export type ErasureState = typeof ErasureState.Type

export const ErasureKind = Schema.Literals(["voice", "user"])
export type ErasureKind = typeof ErasureKind.Type

/** How many of each went, by kind. */
export const ErasureCounts = Schema.Record(Schema.String, Schema.Natural)
export type ErasureCounts = typeof ErasureCounts.Type

export const Erasure = Schema.Struct({
  erasureId: ErasureId,
  kind: ErasureKind,
  /** The voice's id; of a person the SHA-256 of {@link personOf}. */
  subject: Schema.String,
  state: ErasureState,
  /** Why the last attempt did not come to the end; null when it did. */
  reason: Schema.NullOr(Schema.String),
  attempts: Schema.Natural,
  counts: ErasureCounts,
  requestedAt: Schema.DateTimeUtcFromMillis,
  doneAt: Schema.NullOr(Schema.DateTimeUtcFromMillis)
})
export type Erasure = typeof Erasure.Type

/** What was erased, for good. */
export const ErasureAudit = Schema.Struct({
  erasureId: ErasureId,
  kind: ErasureKind,
  subject: Schema.String,
  /** SHA-256 of {@link personOf} of whoever asked: a row that is never changed must not name a person. */
  requestedBySha256: Schema.String,
  counts: ErasureCounts,
  requestedAt: Schema.DateTimeUtcFromMillis,
  doneAt: Schema.DateTimeUtcFromMillis
})
export type ErasureAudit = typeof ErasureAudit.Type

/** What is hashed in place of a person; no id holds a line break. */
export const personOf = (tenantId: string, userId: string): string => `${tenantId}\n${userId}`

/** Something that should be gone and is not. */
export interface Left {
  /** A kind of {@link ErasureCounts}. */
  readonly kind: string
  readonly count: number
}

/** From 1 s, doubling to 5 minutes, without end; ms. */
export const retryMillis = (attempts: number): number => Math.min(1_000 * 2 ** Math.min(attempts, 20), 300_000)
