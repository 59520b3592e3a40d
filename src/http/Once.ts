/** One reply per `Idempotency-Key`: the same key and request get the first reply again; what failed may be tried again. */
import { Effect } from "effect"
import type { Scope } from "effect"
import { HttpServerResponse } from "effect/http"
import { createHash } from "node:crypto"
import type { IdempotencyConflict, StorageUnavailable } from "../domain/Failure.ts"
import type { VoiceId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import type { Idempotency, Reply } from "../services/Idempotency.ts"
import { keeping } from "./KeptReply.ts"

export interface OnceOptions<A, E, R, E2, R2> {
  /** Absent: the request is answered whatever was answered before. */
  readonly key: string | undefined
  /** Method and path pattern. */
  readonly route: string
  readonly caller: AuthUser
  /** What makes two requests the same; its JSON is hashed. */
  readonly request: unknown
  /** Before a kept reply is given again: whether the caller may still have it. */
  readonly permit: (reply: Reply) => Effect.Effect<unknown, E2, R2>
  /** As a function it keeps its reply by itself, at the moment that it chooses. */
  readonly answer: Effect.Effect<A, E, R> | ((keep: Keep) => Effect.Effect<A, E, R>)
  /** Which voice the answer is about, once there is one: the kept reply goes with it. */
  readonly voiceId: () => VoiceId | null
}

/** Keeps a reply, whose body is bytes, for whoever asks the same again. */
export type Keep = (reply: HttpServerResponse.HttpServerResponse) => Effect.Effect<void, StorageUnavailable>

export const once = Effect.fnUntraced(function*<A extends HttpServerResponse.HttpServerResponse, E, R, E2, R2>(
  idempotency: Idempotency["Service"],
  { answer, caller, key, permit, request, route, voiceId }: OnceOptions<A, E, R, E2, R2>
): Effect.fn.Return<
  HttpServerResponse.HttpServerResponse,
  E | E2 | IdempotencyConflict | StorageUnavailable,
  R | R2 | Scope.Scope
> {
  if (key === undefined) return yield* Effect.isEffect(answer) ? answer : answer(() => Effect.void)
  const begun = yield* idempotency.begin({
    tenantId: caller.tenantId,
    userId: caller.userId,
    route,
    key,
    bodySha256: createHash("sha256").update(JSON.stringify(request)).digest("hex")
  })
  if (begun._tag === "Replay") {
    yield* permit(begun.reply)
    const { body, headers, status } = begun.reply
    return HttpServerResponse.uint8Array(body, { status, headers: { ...headers, "idempotent-replayed": "true" } })
  }
  if (!Effect.isEffect(answer)) {
    return yield* answer(({ body, headers, status }) =>
      body._tag === "Uint8Array"
        ? begun.save({ status, headers: { ...headers }, body: body.body }, voiceId())
        : Effect.die(new Error(`A reply of ${body._tag} cannot be kept.`))
    )
  }
  const response = yield* answer
  return yield* keeping(
    response,
    (body) => begun.save({ status: response.status, headers: { ...response.headers }, body }, voiceId())
  )
})
