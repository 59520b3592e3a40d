/** Which backend a call goes to: the tenant's policy, the caller's advice, and what can serve the voice now. */
import { Schema } from "effect"

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
