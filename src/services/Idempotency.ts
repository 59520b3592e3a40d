/**
 * One reply per `Idempotency-Key`: the first request runs, the same request again gets the first reply.
 *
 * A row claims the key before the work begins. The claim is a lease of a minute, renewed while its scope is open, so a
 * process that died blocks a key no longer than that; a scope that closes without a reply withdraws its claim at once.
 * Replies are kept for a day: status and headers in the row, the body, however small, in the object store, under a name
 * of the claim's own.
 */
import { Clock, Context, Effect, Exit, Layer } from "effect"
import type { Scope } from "effect"
import { IdempotencyConflict } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { TenantId, UserId, VoiceId } from "../domain/Ids.ts"
import * as Claims from "./Idempotency/Claims.ts"
import { ObjectStore } from "./ObjectStore.ts"

export interface IdempotentRequest {
  readonly tenantId: TenantId
  readonly userId: UserId
  /** Method and path pattern, such as `POST /speak`: the same key on another route is another key. */
  readonly route: string
  /** At most 255 visible ASCII characters. */
  readonly key: string
  /** Hex digest of what makes two requests the same. */
  readonly bodySha256: string
}

/** Which replies: all about a voice, or all to a user. */
export type Replies = { readonly voiceId: VoiceId } | { readonly tenantId: TenantId; readonly userId: UserId }

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export interface Replay {
  readonly _tag: "Replay"
  readonly reply: Reply
}

export interface Fresh {
  readonly _tag: "Fresh"
  /**
   * Keeps the reply, which is about that voice, for a day. A reply whose claim was lost is dropped in silence; that takes a process which stood
   * still for a minute, and then another request has run, whose reply is the one that is kept.
   */
  readonly save: (reply: Reply, voiceId: VoiceId | null) => Effect.Effect<void, StorageUnavailable>
}

export type Begun = Replay | Fresh

/** What a look finds may be gone before it is acted upon; then the key is looked at again. */
const looksMax = 3
const renewEveryMillis = Claims.leaseMillis / 3

export class Idempotency extends Context.Service<Idempotency, {
  /** The claim of a fresh request lives as long as the scope, or until its reply is saved. */
  readonly begin: (
    request: IdempotentRequest
  ) => Effect.Effect<Begun, IdempotencyConflict | StorageUnavailable, Scope.Scope>
  /** Removes these replies before their time; says how many. */
  readonly erase: (replies: Replies) => Effect.Effect<number, StorageUnavailable>
  /** How many of these there are. */
  readonly count: (replies: Replies) => Effect.Effect<number, StorageUnavailable>
  /** Removes what has run out by `nowMillis`, rows and bodies; says how many. Any number of processes may sweep. */
  readonly sweep: (nowMillis: number) => Effect.Effect<number, StorageUnavailable>
}>()("scaispeak/Idempotency") {
  static readonly layer = Layer.effect(
    Idempotency,
    Effect.gen(function*() {
      const claims = yield* Claims.make
      const objects = yield* ObjectStore

      const withdraw = Effect.fnUntraced(function*(claim: Claims.Claim) {
        if (yield* claims.withdraw(claim)) yield* objects.remove(claim.objectKey)
      })

      /** `undefined` when the body is gone. */
      const replay = (row: Claims.Row) =>
        objects.read(row.object_key).pipe(
          Effect.map((body): Replay => ({ _tag: "Replay", reply: { ...Claims.headOf(row), body } })),
          Effect.catchTag("ObjectNotFound", () => Effect.undefined)
        )

      const begin = Effect.fn("Idempotency.begin")(function*(request: IdempotentRequest) {
        const { bodySha256 } = request
        const claim = Claims.newClaim(request)
        let held = false as boolean
        yield* Effect.addFinalizer(() => held ? Effect.ignore(withdraw(claim), { log: "Warn" }) : Effect.void)
        /** Whatever interrupts, a claim that is won is known to be held; one that failed on the way may be. */
        const noting = <A>(attempt: Effect.Effect<A, StorageUnavailable>, won: (result: A) => boolean) =>
          Effect.uninterruptible(Effect.onExit(attempt, (exit) =>
            Effect.sync(() => {
              held = Exit.isFailure(exit) || won(exit.value)
            })))

        const save = Effect.fn("Idempotency.save")(function*(reply: Reply, voiceId: VoiceId | null) {
          yield* objects.put(claim.objectKey, reply.body, { contentType: "application/octet-stream" })
          if (yield* claims.close(claim, reply, voiceId)) held = false
          else yield* objects.remove(claim.objectKey)
        })
        const fresh = claims.renew(claim).pipe(
          Effect.ignore({ log: "Warn" }),
          Effect.delay(renewEveryMillis),
          Effect.forever,
          Effect.forkScoped,
          Effect.as<Fresh>({ _tag: "Fresh", save })
        )

        for (let look = 0; look < looksMax; look++) {
          const row = yield* noting(claims.open(claim, bodySha256), (row) => row.object_key === claim.objectKey)
          if (held) return yield* fresh
          const former = { ...claim, objectKey: row.object_key }
          if (Claims.hasRunOut(row, yield* Clock.currentTimeMillis)) {
            yield* noting(claims.takeOver(claim, bodySha256, row), (won) => won)
            if (!held) continue
            yield* Effect.ignore(objects.remove(former.objectKey), { log: "Warn" })
            return yield* fresh
          }
          if (row.body_sha256 !== bodySha256) return yield* new IdempotencyConflict({ reason: "other body" })
          if (row.state === "running") break
          const kept = yield* replay(row)
          if (kept !== undefined) return kept
          // The reply cannot be given again, so the request runs anew.
          yield* claims.remove(former)
        }
        return yield* new IdempotencyConflict({ reason: "in progress" })
      })

      const removeAll = Effect.fnUntraced(
        function*(some: Effect.Effect<ReadonlyArray<Claims.Claim>, StorageUnavailable>) {
          for (let count = 0;;) {
            const those = yield* some
            if (those.length === 0) return count
            for (const claim of those) {
              // The body first: a row that is left points at nothing, a body that is left is never found again.
              yield* objects.remove(claim.objectKey)
              yield* claims.remove(claim)
            }
            count += those.length
          }
        }
      )

      return Idempotency.of({
        begin,
        erase: Effect.fn("Idempotency.erase")((replies) => removeAll(claims.some(replies))),
        count: claims.count,
        sweep: Effect.fn("Idempotency.sweep")((nowMillis) => removeAll(claims.expired(nowMillis)))
      })
    })
  )
}
