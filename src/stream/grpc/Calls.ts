/**
 * Every call of the public service in its own fiber: bearer token → caller, permission, one audit row, a request id that
 * comes back, and an end that says what went wrong. The client's cancellation or deadline interrupts the fiber at once.
 * While the process drains, new calls are UNAVAILABLE and running ones may finish.
 */
import type { ServerSurfaceCall } from "@grpc/grpc-js/build/src/server-call.js"
import { Cause, Clock, Effect, Exit, FiberSet, Option, Redacted, Schema } from "effect"
import type { Scope } from "effect"
import { isFailure, ShuttingDown } from "../../domain/Failure.ts"
import type { Failure } from "../../domain/Failure.ts"
import { RequestId } from "../../domain/Ids.ts"
import { missing } from "../../domain/Permission.ts"
import type { AuthUser, Permission } from "../../domain/Permission.ts"
import { Identity } from "../../services/Identity.ts"
import { makeId } from "../../services/Ids.ts"
import { Ledger } from "../../services/Ledger.ts"
import { reset } from "./Sink.ts"
import { statusOf, statusOfCode } from "./Status.ts"
import type { Status } from "./Status.ts"

export interface Caller {
  readonly user: AuthUser
  readonly requestId: RequestId
  /** What the call is about, for its audit row, once it is known. */
  resourceId: string | null
}

interface Method {
  /** In the audit row. */
  readonly action: string
  readonly permission: Permission
}

/** What a call that missed its end gets to see of it; ms. */
const farewellMillis = 250
const decodeRequestId = Schema.decodeUnknownOption(RequestId)

export const make = Effect.fnUntraced(function*(options: { readonly drainMs: number }) {
  const identity = yield* Identity
  const ledger = yield* Ledger
  const fibers = yield* FiberSet.make<void>()
  const fork = yield* FiberSet.runtime(fibers)()
  let draining = false
  yield* Effect.addFinalizer(() => {
    draining = true
    return FiberSet.awaitEmpty(fibers).pipe(
      Effect.timeoutOption(options.drainMs),
      Effect.andThen(FiberSet.clear(fibers))
    )
  })

  const admitted = Effect.fnUntraced(function*<A>(
    call: ServerSurfaceCall,
    requestId: RequestId,
    { action, permission }: Method,
    body: (caller: Caller) => Effect.Effect<A, Failure, Scope.Scope>
  ) {
    if (draining) return yield* new ShuttingDown()
    const header = String(call.metadata.get("authorization")[0] ?? "")
    const token = /^Bearer +(\S+)$/iu.exec(header)?.[1] ?? ""
    const user = yield* identity.authenticate(Redacted.make(token))
    const caller: Caller = { user, requestId, resourceId: null }
    const audit = (outcome: "allowed" | "denied" | "failed") =>
      ledger.audit({
        actorUserId: user.userId,
        tenantId: user.tenantId,
        action,
        resourceId: caller.resourceId,
        outcome,
        requestId
      })
    const denied = missing(user, permission)
    if (denied !== undefined) return yield* Effect.andThen(audit("denied"), denied)
    return yield* Effect.scoped(body(caller)).pipe(
      Effect.onExit((exit) => audit(Exit.isSuccess(exit) ? "allowed" : outcomeOf(exit.cause))),
      Effect.annotateLogs({ request_id: requestId, tenant_id: user.tenantId })
    )
  })

  /** `finish` and `refuse` end the call; one of them runs, once, unless the client is gone. */
  const run = <A>(
    call: ServerSurfaceCall,
    method: Method,
    body: (caller: Caller) => Effect.Effect<A, Failure, Scope.Scope>,
    finish: (result: A, requestId: RequestId) => void,
    refuse: (status: Status) => void
  ): void => {
    const work = Effect.gen(function*() {
      const given = decodeRequestId(call.metadata.get("x-request-id")[0])
      const requestId = Option.isSome(given) ? given.value : yield* makeId("req")
      const remaining = Number(call.getDeadline()) - (yield* Clock.currentTimeMillis)
      const answer = admitted(call, requestId, method, body)
      const exit = yield* Effect.exit(
        Number.isFinite(remaining) ? Effect.timeoutOption(answer, Math.max(remaining, 0)) : Effect.asSome(answer)
      )
      if (call.cancelled) return
      if (Exit.isSuccess(exit)) {
        if (Option.isSome(exit.value)) return finish(exit.value.value, requestId)
        // The library says DEADLINE_EXCEEDED, behind whatever still waits for the peer.
        yield* Effect.sleep(farewellMillis)
        return reset(call)
      }
      yield* logBreak(exit.cause)
      refuse(endOf(exit.cause, requestId))
      const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
      if (failure?._tag === "ClientTooSlow") reset(call)
    })
    const fiber = fork(work)
    call.once("cancelled", () => fiber.interruptUnsafe())
  }
  return { run, draining: () => draining }
})

export type Calls = Effect.Success<ReturnType<typeof make>>

const outcomeOf = (cause: Cause.Cause<Failure>) =>
  cause.reasons.find(Cause.isFailReason)?.error._tag === "PermissionDenied" ? "denied" as const : "failed" as const

const endOf = (cause: Cause.Cause<Failure>, requestId: string): Status => {
  const failure = cause.reasons.find(Cause.isFailReason)?.error
  if (failure !== undefined && isFailure(failure)) return statusOf(failure, requestId)
  // Nobody but the process's own stop interrupts a call that its client still wants.
  return Cause.hasInterruptsOnly(cause)
    ? statusOf(new ShuttingDown(), requestId)
    : statusOfCode("INTERNAL_ERROR", requestId)
}

const logBreak = (cause: Cause.Cause<Failure>) =>
  Cause.hasDies(cause) ? Effect.logError("call broke", cause) : Effect.void
