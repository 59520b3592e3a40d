/** Which backend a call goes to: the tenant's policy, the caller's advice, and what can serve the voice now. */
import { Schema } from "effect"
import type { Need, NodesState } from "./AudioNode.ts"

/** A: self-hosted engine nodes. B: the managed relay. */
export const Backend = Schema.Literals(["A", "B"])
export type Backend = typeof Backend.Type

/** Advice only: the tenant's policy decides. */
export const BackendPreference = Schema.Literals(["any", "prefer_self_hosted", "prefer_relay"])
export type BackendPreference = typeof BackendPreference.Type

/** The list is never empty, has no doubles, and contains the default. */
export const BackendPolicy = Schema.Struct({
  allowedBackends: Schema.NonEmptyArray(Backend).check(Schema.isUnique()),
  defaultBackend: Backend
}).check(
  Schema.makeFilter(({ allowedBackends, defaultBackend }) =>
    allowedBackends.includes(defaultBackend)
      ? undefined
      : { path: ["default_backend"], issue: "must be one of allowed_backends" }
  )
)
export type BackendPolicy = typeof BackendPolicy.Type

/** What a tenant gets at its first call. */
export const initialPolicy: BackendPolicy = { allowedBackends: ["A", "B"], defaultBackend: "A" }

/** Whether a backend can serve this voice now; if not, why, in words for the caller and the record. */
export type Availability = { readonly available: true } | { readonly available: false; readonly reason: string }

const available: Availability = { available: true }
const unavailable = (reason: string): Availability => ({ available: false, reason })

/** What a need asks for, in words. */
const asked = (need: Need): string =>
  need.kind === "preset" || (need.engine !== undefined && need.engine !== "default")
    ? `engine ${need.engine}`
    : need.kind === "any"
    ? "a ready engine"
    : need.kind

/** Whether A can serve a voice: what it needs of a node (undefined: no node has a speaker for it), and what nodes can do. */
export const availabilityOfNodes = (need: Need | undefined, state: NodesState): Availability => {
  if (need === undefined) return unavailable("the voice has no speaker on engine nodes")
  switch (state) {
    case "healthy":
    case "warning":
      return available
    case "recovering":
      return unavailable(`every node with ${asked(need)} is recovering from failures`)
    case "draining":
      return unavailable(`every node with ${asked(need)} is draining`)
    case "stale":
      return unavailable(`every node with ${asked(need)} has gone silent`)
    case "unable":
      return unavailable(`no node with ${asked(need)} is ready`)
    case "none":
      return unavailable("no node is known")
  }
}

/** `recovering`: its circuit is open. `off`: none is configured. */
export const RelayState = Schema.Literals(["ready", "recovering", "off"])
export type RelayState = typeof RelayState.Type

/** Whether B can serve a voice: whether it has a speaker there, and what the relay can do. */
export const availabilityOfRelay = (hasSpeaker: boolean, state: RelayState): Availability => {
  if (state === "off") return unavailable("no relay is configured")
  if (!hasSpeaker) return unavailable("the voice has no speaker at the relay")
  return state === "ready" ? available : unavailable("the relay is recovering from failures")
}

export interface Decision {
  /** Backends to try, best first. Empty: nothing can serve the call. */
  readonly candidates: ReadonlyArray<Backend>
  /** Why it came out so, one sentence each. */
  readonly reasons: ReadonlyArray<string>
}

const preferred: Record<BackendPreference, Backend | undefined> = {
  any: undefined,
  prefer_self_hosted: "A",
  prefer_relay: "B"
}

/**
 * Orders the allowed backends that can serve the voice: the caller's preference first, then the tenant's default,
 * then A. A backend outside the policy is never a candidate, whatever fails.
 */
export const decide = (
  policy: BackendPolicy,
  preference: BackendPreference,
  availability: Record<Backend, Availability>
): Decision => {
  const candidates: Array<Backend> = []
  const reasons: Array<string> = []
  for (
    const backend of new Set([preferred[preference] ?? policy.defaultBackend, policy.defaultBackend, "A", "B"] as const)
  ) {
    const state = availability[backend]
    if (!policy.allowedBackends.includes(backend)) reasons.push(`${backend} is not allowed for this tenant.`)
    else if (!state.available) reasons.push(`${backend} cannot serve the call: ${state.reason}.`)
    else {
      reasons.push(candidates.length === 0 ? `${backend} is chosen.` : `${backend} stands by.`)
      candidates.push(backend)
    }
  }
  return { candidates, reasons }
}
