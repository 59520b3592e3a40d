/**
 * Holds and settles: a call holds its place and its characters from before dispatch until its scope closes, and is
 * settled then, whatever ended it. Settling writes one usage row behind the request; nothing waits for it.
 */
import { Clock, Context, Effect, Layer, Metric } from "effect"
import type { Scope } from "effect"
import { Backend } from "../domain/BackendPolicy.ts"
import { ConcurrencyLimited } from "../domain/Failure.ts"
import type { Code } from "../domain/Failure.ts"
import type { RequestId, SynthesisId, TenantId, VoiceId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { Ledger } from "./Ledger.ts"
import { step } from "./Trace.ts"

export interface HoldRequest {
  readonly synthesisId: SynthesisId
  readonly requestId: RequestId
  readonly caller: AuthUser
  readonly voiceId: VoiceId
  /** Code points. */
  readonly characters: number
  readonly tags: ReadonlyArray<string>
}

/** What becomes known while the call runs. */
export interface HoldFacts {
  backend?: Backend
  nodeId?: string | null
  engine?: string
  model?: string
  /** Wire names of parameters that were given and not honoured. */
  ignoredParams?: ReadonlyArray<string>
  /** How the call was routed, one sentence each. */
  reasons?: Array<string>
  firstAudioMs?: number
  audioMs?: number
  /** Unset at the end: the caller went away. */
  outcome?: "completed" | "failed"
  errorCode?: Code
}

export interface Hold {
  /** Written to as facts arrive; read once, when the scope closes. */
  readonly facts: HoldFacts
}

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
const openHoldsGauge = Metric.gauge("scaispeak_open_holds", { description: "Syntheses that hold their place now" })

export class Accounting extends Context.Service<Accounting, {
  readonly hold: (request: HoldRequest) => Effect.Effect<Hold, ConcurrencyLimited, Scope.Scope>
  /** A hold's place alone, for part of something that is accounted for as a whole. */
  readonly place: (tenantId: TenantId) => Effect.Effect<void, ConcurrencyLimited, Scope.Scope>
  /** Holds open in this process. */
  readonly openHolds: () => number
}>()("scaispeak/Accounting") {
  /** `tenantConcurrency`: holds a tenant may have at once in this process; 0 = no limit. */
  static readonly layer = (options: { readonly tenantConcurrency: number }) =>
    Layer.effect(
      Accounting,
      Effect.gen(function*() {
        const ledger = yield* Ledger
        const byTenant = new Map<string, number>()
        let open = 0

        const take = (tenantId: TenantId) =>
          Effect.suspend(() => {
            const held = byTenant.get(tenantId) ?? 0
            if (options.tenantConcurrency > 0 && held >= options.tenantConcurrency) {
              return Effect.fail(new ConcurrencyLimited({ limit: options.tenantConcurrency }))
            }
            byTenant.set(tenantId, held + 1)
            open++
            return Metric.update(openHoldsGauge, open)
          })
        const leave = (tenantId: TenantId) =>
          Effect.suspend(() => {
            const held = byTenant.get(tenantId)! - 1
            if (held === 0) byTenant.delete(tenantId)
            else byTenant.set(tenantId, held)
            open--
            return Metric.update(openHoldsGauge, open)
          })

        const settle = (request: HoldRequest, createdAt: number, facts: HoldFacts) =>
          Effect.gen(function*() {
            const { tenantId } = request.caller
            yield* leave(tenantId)
            // Refused before any backend was asked: nothing was used.
            if (facts.backend === undefined) return
            const outcome = facts.outcome ?? "aborted"
            yield* Metric.update(charactersBy[`${facts.backend} ${outcome}`]!, request.characters)
            if (facts.firstAudioMs !== undefined) {
              yield* Metric.update(firstAudioSeconds, facts.firstAudioMs / 1000)
            }
            yield* ledger.usage({
              synthesisId: request.synthesisId,
              requestId: request.requestId,
              tenantId,
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
              totalMs: (yield* Clock.currentTimeMillis) - createdAt,
              outcome,
              errorCode: facts.errorCode ?? null,
              routing: { reasons: facts.reasons ?? [], ignoredParams: facts.ignoredParams ?? [] },
              tags: request.tags,
              createdAt
            })
          })

        return Accounting.of({
          hold: (request) =>
            Effect.flatMap(Clock.currentTimeMillis, (createdAt) => {
              const facts: HoldFacts = {}
              return Effect.acquireRelease(
                Effect.as(take(request.caller.tenantId), { facts }),
                () => settle(request, createdAt, facts)
              )
            }).pipe(step("Accounting.hold")),
          place: (tenantId) => Effect.acquireRelease(take(tenantId), () => leave(tenantId)),
          openHolds: () => open
        })
      })
    )
}
