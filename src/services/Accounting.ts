/**
 * Holds and settles: a call holds its place and its characters from before dispatch until its scope closes, and is
 * settled then, whatever ended it. Settling writes one usage row behind the request; nothing waits for it.
 *
 * A session holds one place among its tenant's sessions, however many texts it speaks, and is settled with one row for
 * each backend that spoke in it. While it lives the rows say what it has come to, a minute ago at most, so that a process
 * that dies takes no hour's use with it.
 */
import { Clock, Context, Effect, Layer, Metric } from "effect"
import type { Scope } from "effect"
import type { Backend } from "../domain/BackendPolicy.ts"
import { ConcurrencyLimited } from "../domain/Failure.ts"
import type { Code } from "../domain/Failure.ts"
import type { RequestId, SynthesisId, TenantId, VoiceId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import * as SessionAccounts from "./Accounting/SessionAccounts.ts"
import * as Usage from "./Accounting/Usage.ts"
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
        const accounts = yield* SessionAccounts.make(ledger)
        const calls = { limit: options.tenantConcurrency, byTenant: new Map<string, number>() }
        const sessions = { limit: options.tenantSessions, byTenant: new Map<string, number>() }
        let open = 0

        const take = ({ byTenant, limit }: typeof calls, tenantId: TenantId) =>
          Effect.suspend(() => {
            const taken = byTenant.get(tenantId) ?? 0
            if (limit > 0 && taken >= limit) return Effect.fail(new ConcurrencyLimited({ limit }))
            byTenant.set(tenantId, taken + 1)
            return Metric.update(openHoldsGauge, ++open)
          })
        const release = ({ byTenant }: typeof calls, tenantId: TenantId) =>
          Effect.suspend(() => {
            const taken = byTenant.get(tenantId)! - 1
            if (taken === 0) byTenant.delete(tenantId)
            else byTenant.set(tenantId, taken)
            return Metric.update(openHoldsGauge, --open)
          })
        const place = (kind: typeof calls, tenantId: TenantId) =>
          Effect.asVoid(held(take(kind, tenantId), () => release(kind, tenantId)))

        const settle = (request: HoldRequest, createdAt: number, facts: HoldFacts) =>
          Usage.wasAsked(facts)
            ? Effect.andThen(
              Usage.count(request.characters, facts),
              Effect.flatMap(Usage.recordOf(request, createdAt, facts), ledger.usage)
            )
            : Effect.void

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
          holdSession: (request) =>
            Effect.andThen(place(sessions, request.caller.tenantId), accounts.open(request)).pipe(
              step("Accounting.holdSession")
            ),
          place: (tenantId) => place(calls, tenantId),
          openHolds: () => open
        })
      })
    )
}
