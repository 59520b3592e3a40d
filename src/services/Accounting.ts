/**
 * Holds and settles: a call holds its place and its characters from before dispatch until its scope closes, and is
 * settled then, whatever ended it. Settling writes one usage row behind the request; nothing waits for it.
 *
 * A session holds one place among its tenant's sessions, however many texts it speaks, and is settled with one row for
 * each backend that spoke in it.
 */
import { Clock, Context, Effect, Layer, Metric } from "effect"
import type { Scope } from "effect"
import { Backend } from "../domain/BackendPolicy.ts"
import { ConcurrencyLimited } from "../domain/Failure.ts"
import type { Code } from "../domain/Failure.ts"
import type { RequestId, SynthesisId, TenantId, VoiceId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { SessionAccount } from "./Accounting/SessionAccount.ts"
import { held } from "./Held.ts"
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

/** What a session is held under; its texts come while it lives. */
export type SessionHoldRequest = Omit<HoldRequest, "characters">

export interface SessionHold {
  /** The account of one text of so many code points, added to the session's when the scope closes. */
  readonly text: (characters: number) => Effect.Effect<HoldFacts, never, Scope.Scope>
  /** How it ended: to be written to, read when the scope of the session closes; unset: the client went away. */
  readonly ended: Pick<HoldFacts, "outcome" | "errorCode">
}

export class Accounting extends Context.Service<Accounting, {
  readonly hold: (request: HoldRequest) => Effect.Effect<Hold, ConcurrencyLimited, Scope.Scope>
  readonly holdSession: (request: SessionHoldRequest) => Effect.Effect<SessionHold, ConcurrencyLimited, Scope.Scope>
  /** A hold's place alone, for part of something that is accounted for as a whole. */
  readonly place: (tenantId: TenantId) => Effect.Effect<void, ConcurrencyLimited, Scope.Scope>
  /** Holds open in this process, those of sessions included. */
  readonly openHolds: () => number
}>()("scaispeak/Accounting") {
  /** What a tenant may have at once in this process, calls and sessions; 0 = no limit. */
  static readonly layer = (options: { readonly tenantConcurrency: number; readonly tenantSessions: number }) =>
    Layer.effect(
      Accounting,
      Effect.gen(function*() {
        const ledger = yield* Ledger
        const calls = { limit: options.tenantConcurrency, byTenant: new Map<string, number>() }
        const sessions = { limit: options.tenantSessions, byTenant: new Map<string, number>() }
        let open = 0

        const take = ({ byTenant, limit }: typeof calls, tenantId: TenantId) =>
          Effect.suspend(() => {
            const held = byTenant.get(tenantId) ?? 0
            if (limit > 0 && held >= limit) return Effect.fail(new ConcurrencyLimited({ limit }))
            byTenant.set(tenantId, held + 1)
            return Metric.update(openHoldsGauge, ++open)
          })
        const release = ({ byTenant }: typeof calls, tenantId: TenantId) =>
          Effect.suspend(() => {
            const held = byTenant.get(tenantId)! - 1
            if (held === 0) byTenant.delete(tenantId)
            else byTenant.set(tenantId, held)
            return Metric.update(openHoldsGauge, --open)
          })

        const settle = (request: HoldRequest, createdAt: number, facts: HoldFacts) =>
          Effect.gen(function*() {
            // Refused before any backend was asked: nothing was used.
            if (facts.backend === undefined) return
            const { tenantId } = request.caller
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

        const holdSession = Effect.fnUntraced(function*(request: SessionHoldRequest) {
          const createdAt = yield* Clock.currentTimeMillis
          const account = new SessionAccount()
          const ended: SessionHold["ended"] = {}
          yield* held(
            take(sessions, request.caller.tenantId),
            () =>
              Effect.andThen(
                release(sessions, request.caller.tenantId),
                Effect.forEach(account.rows(request.synthesisId), ({ characters, facts, synthesisId }) =>
                  Effect.flatMap(synthesisId, (synthesisId) =>
                    settle({ ...request, synthesisId, characters }, createdAt, { ...facts, ...ended })), {
                  discard: true
                })
              )
          )
          return {
            ended,
            text: (characters: number) =>
              held(
                Effect.sync((): HoldFacts => ({})),
                (facts) => Effect.sync(() => account.add(characters, facts))
              )
          }
        }, step("Accounting.holdSession"))

        return Accounting.of({
          hold: (request) =>
            Effect.flatMap(Clock.currentTimeMillis, (createdAt) =>
              Effect.map(
                held(
                  Effect.as(take(calls, request.caller.tenantId), {} as HoldFacts),
                  (facts) => Effect.andThen(release(calls, request.caller.tenantId), settle(request, createdAt, facts))
                ),
                (facts) => ({ facts })
              )).pipe(step("Accounting.hold")),
          holdSession,
          place: (tenantId) => held(take(calls, tenantId), () => release(calls, tenantId)),
          openHolds: () => open
        })
      })
    )
}
