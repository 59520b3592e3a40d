/**
 * Who is asked next when a backend fails before anything was heard, how long each may take, and which failure the caller
 * is told when nobody is left. Pure.
 */
import type { Backend } from "./BackendPolicy.ts"
import { BackendSaturated } from "./Failure.ts"
import type { DispatchFailure } from "./Failure.ts"

/** An attempt that came to nothing. */
export interface Tried {
  readonly backend: Backend
  readonly failure: DispatchFailure
}

/** Other nodes that are asked after one has failed. A node that says it is full costs nothing and does not count. */
const nodeRetriesMax = 1

/**
 * The backend to ask now; undefined when nobody is left. A full node sends the call to the next node for as long as there
 * is one; a node that failed, to one other; then comes the next backend that may serve the call.
 *
 * `otherNodes`: nodes of A that could take the call and have not been asked.
 */
export const nextBackend = (
  candidates: ReadonlyArray<Backend>,
  tries: ReadonlyArray<Tried>,
  otherNodes: number
): Backend | undefined => {
  const last = tries.at(-1)
  if (last === undefined) return candidates[0]
  if (last.backend === "A" && otherNodes > 0) {
    const failed = tries.filter(({ backend, failure }) => backend === "A" && failure._tag !== "BackendSaturated")
    if (last.failure._tag === "BackendSaturated" || failed.length <= nodeRetriesMax) return "A"
  }
  return candidates.find((backend) => !tries.some((tried) => tried.backend === backend))
}

/**
 * The longest wait for the first audio of the next attempt, ms: half of what is left while somebody else could still take
 * over, so that one silent backend does not use up everybody's time; all of it for the last.
 */
export const waitOf = (leftMillis: number, isLast: boolean): number =>
  Math.max(1, isLast ? leftMillis : Math.ceil(leftMillis / 2))

/** What the caller is told: that all are full, if that is what stood in the way everywhere; else the last failure. */
export const blame = (tries: readonly [Tried, ...Array<Tried>]): DispatchFailure => {
  const failures = tries.map(({ failure }) => failure)
  const full = failures.filter((failure) => failure._tag === "BackendSaturated")
  const others = failures.filter(({ _tag }) => _tag !== "BackendSaturated" && _tag !== "BackendUnavailable")
  if (full.length === 0 || others.length > 0) return failures.at(-1)!
  return new BackendSaturated({
    backend: full.at(-1)!.backend,
    retryAfter: Math.min(...full.map(({ retryAfter }) => retryAfter))
  })
}
