/** Erasing voices and persons, and what shows that it was done. */
import { Effect, Option, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { Erasure as ErasureRecord } from "../../domain/Erasure.ts"
import { ErasureNotFound } from "../../domain/Failure.ts"
import { ErasureId } from "../../domain/Ids.ts"
import { Erasure } from "../../services/Erasure.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import * as Envelope from "../Envelope.ts"
import { named } from "../NamedVoice.ts"
import { onlySuperAdmins } from "../SuperAdmin.ts"

export const layer = HttpApiBuilder.group(
  Api,
  "erasures",
  Effect.fnUntraced(function*(handlers) {
    const erasure = yield* Erasure
    return handlers.handleAll({
      eraseVoice: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(view(yield* erasure.voice(user, id)))
      }, Envelope.answerFailures),

      eraseGlobalVoice: Effect.fnUntraced(function*({ params }) {
        yield* onlySuperAdmins
        const { id, user } = yield* named(params)
        return yield* Envelope.ok(view(yield* erasure.globalVoice(user, id)))
      }, Envelope.answerFailures),

      eraseUser: Effect.fnUntraced(function*({ payload }) {
        const caller = yield* Caller
        const begun = yield* erasure.user(caller.user, payload.user_id)
        // Not the person: the audit log keeps what it is told.
        caller.resourceId = begun.erasureId
        return yield* Envelope.ok(view(begun))
      }, Envelope.answerFailures),

      erasureAudit: Effect.fnUntraced(function*({ query: { cursor, limit } }) {
        const { user } = yield* Caller
        const { items, nextCursor } = yield* erasure.audit(user, { limit, cursor })
        return yield* Envelope.page(
          items.map(({ counts, doneAt, erasureId, kind, requestedAt, requestedBySha256, subject }) => ({
            erasure_id: erasureId,
            kind,
            subject,
            counts,
            requested_by_sha256: requestedBySha256,
            requested_at: requestedAt,
            done_at: doneAt
          })),
          nextCursor
        )
      }, Envelope.answerFailures),

      erasure: Effect.fnUntraced(function*({ params }) {
        const { id, user } = yield* namedErasure(params)
        return yield* Envelope.ok(view(yield* erasure.find(user, id)))
      }, Envelope.answerFailures),

      verifyErasure: Effect.fnUntraced(function*({ params, query }) {
        const { id, user } = yield* namedErasure(params)
        const left = yield* erasure.left(user, id, query.user_id)
        return yield* Envelope.ok({ erasure_id: id, complete: left.length === 0, left })
      }, Envelope.answerFailures)
    })
  })
)

const decode = Schema.decodeUnknownOption(ErasureId)

const namedErasure = Effect.fnUntraced(function*(params: { readonly erasure_id: string }) {
  const caller = yield* Caller
  caller.resourceId = params.erasure_id
  const id = decode(params.erasure_id)
  return Option.isNone(id) ? yield* new ErasureNotFound() : { id: id.value, user: caller.user }
})

const view = ({ attempts, counts, doneAt, erasureId, kind, reason, requestedAt, state, subject }: ErasureRecord) => ({
  erasure_id: erasureId,
  kind,
  subject,
  status: state,
  status_reason: reason,
  attempts,
  counts,
  requested_at: requestedAt,
  done_at: doneAt
})
