/**
 * The accounts of sessions that live: each is written when it ends, and every minute what it has come to so far, as if its client
 * had gone away then. So a process that dies takes a minute's use with it, not an hour's.
 */
import { Clock, Effect, Schedule, Semaphore } from "effect"
import type { Scope } from "effect"
import type { HoldFacts, SessionHold, SessionHoldRequest } from "../Accounting.ts"
import { held } from "../Held.ts"
import type { Ledger } from "../Ledger.ts"
import { SessionAccount } from "./SessionAccount.ts"
import * as Usage from "./Usage.ts"

const restatedEvery = "1 minute"

interface LiveSession {
  readonly request: SessionHoldRequest
  /** Epoch ms. */
  readonly createdAt: number
  readonly account: SessionAccount
  /** One says what it has come to at a time: the end has the last word. */
  readonly saying: Semaphore.Semaphore
}

export interface SessionAccounts {
  /** An account that is settled when the scope closes. */
  readonly open: (request: SessionHoldRequest) => Effect.Effect<SessionHold, never, Scope.Scope>
}

export const make = Effect.fnUntraced(function*(
  ledger: Ledger["Service"]
): Effect.fn.Return<SessionAccounts, never, Scope.Scope> {
  const live = new Set<LiveSession>()

  const rows = ({ account, createdAt, request }: LiveSession, ended: SessionHold["ended"]) =>
    Effect.map(account.rows, (rows) =>
      rows.map(({ characters, facts, synthesisId }) => {
        const whole = { ...facts, ...ended }
        return { whole, characters, record: Usage.recordOf({ ...request, synthesisId, characters }, createdAt, whole) }
      }))
  const soFar = (session: LiveSession) =>
    Effect.suspend(() =>
      live.has(session) && session.account.hasChanged
        ? Effect.flatMap(
          rows(session, {}),
          Effect.forEach(({ record }) => Effect.flatMap(record, ledger.restate), { discard: true })
        )
        : Effect.void
    ).pipe(session.saying.withPermits(1))
  const settle = (session: LiveSession, ended: SessionHold["ended"]) =>
    Effect.flatMap(
      rows(session, ended),
      Effect.forEach(({ characters, record, whole }) =>
        Effect.andThen(Usage.count(characters, whole), Effect.flatMap(record, ledger.restate)), { discard: true })
    ).pipe(session.saying.withPermits(1))

  const restate = Effect.suspend(() => Effect.forEach([...live], soFar, { discard: true }))
  yield* Effect.forkScoped(Effect.repeat(Effect.delay(restate, restatedEvery), Schedule.forever))

  return {
    open: Effect.fnUntraced(function*(request) {
      const createdAt = yield* Clock.currentTimeMillis
      const account = new SessionAccount(request.synthesisId)
      const session = { request, createdAt, account, saying: Semaphore.makeUnsafe(1) }
      const ended: SessionHold["ended"] = {}
      yield* held(
        Effect.sync(() => live.add(session)),
        () =>
          Effect.suspend(() => {
            live.delete(session)
            return settle(session, ended)
          })
      )
      return {
        ended,
        text: (characters) =>
          held(
            Effect.sync((): HoldFacts => ({})),
            (facts) => Effect.sync(() => account.add(characters, facts))
          )
      }
    })
  }
})
