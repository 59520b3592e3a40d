/** What a call, or a session by one backend, has come to: counted once, and as a usage row. */
import { Clock, Effect, Metric } from "effect"
import { Backend } from "../../domain/BackendPolicy.ts"
import type { HoldFacts, HoldRequest } from "../Accounting.ts"
import type { UsageRecord } from "../Ledger.ts"

/** Refused before any backend was asked, nothing was used. */
export type AskedFacts = HoldFacts & { readonly backend: Backend }
export const wasAsked = (facts: HoldFacts): facts is AskedFacts => facts.backend !== undefined

const charactersTotal = Metric.counter("scaispeak_characters_total", {
  description: "Characters dispatched, by backend and outcome",
  incremental: true
})
/** One series a backend and outcome, made once and not at every call. */
const charactersBy = Object.fromEntries(
  Backend.literals.flatMap((backend) =>
    (["completed", "aborted", "failed"] as const).map((outcome) => [
      `${backend} ${outcome}`,
      Metric.withAttributes(charactersTotal, { backend, outcome })
    ])
  )
)
const firstAudioSeconds = Metric.histogram("scaispeak_first_audio_seconds", {
  description: "From the accepted call to its first audio",
  boundaries: Metric.exponentialBoundaries({ start: 0.005, factor: 2, count: 12 })
})
/** Adds it to the metrics. */
export const count = Effect.fnUntraced(function*(characters: number, facts: AskedFacts) {
  yield* Metric.update(charactersBy[`${facts.backend} ${facts.outcome ?? "aborted"}`]!, characters)
  if (facts.firstAudioMs !== undefined) yield* Metric.update(firstAudioSeconds, facts.firstAudioMs / 1000)
})

/** `createdAt`: epoch ms. */
export const recordOf = (request: HoldRequest, createdAt: number, facts: AskedFacts): Effect.Effect<UsageRecord> =>
  Effect.map(Clock.currentTimeMillis, (now) => ({
    synthesisId: request.synthesisId,
    requestId: request.requestId,
    tenantId: request.caller.tenantId,
    userId: request.caller.userId,
    keyId: request.caller.credential.kind === "apiKey" ? request.caller.credential.keyId : null,
    voiceId: request.voiceId,
    backend: facts.backend,
    nodeId: facts.nodeId ?? null,
    engine: facts.engine ?? "",
    model: facts.model ?? "",
    characters: request.characters,
    audioMs: facts.audioMs ?? 0,
    firstAudioMs: facts.firstAudioMs ?? null,
    totalMs: now - createdAt,
    outcome: facts.outcome ?? "aborted",
    errorCode: facts.errorCode ?? null,
    routing: { reasons: facts.reasons ?? [], ignoredParams: facts.ignoredParams ?? [] },
    tags: request.tags,
    createdAt
  }))
