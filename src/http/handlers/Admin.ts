/** Policy and API keys of the caller's tenant. */
import { Effect, Option, Redacted, Schema } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { ApiKeyNotFound, InvalidRequest } from "../../domain/Failure.ts"
import { ApiKeyId } from "../../domain/Ids.ts"
import { ApiKeys } from "../../services/ApiKeys.ts"
import type { ApiKey } from "../../services/ApiKeys.ts"
import { PolicyResolver } from "../../services/PolicyResolver.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import * as Envelope from "../Envelope.ts"

const decodeKeyId = Schema.decodeUnknownOption(ApiKeyId)

export const layer = HttpApiBuilder.group(
  Api,
  "admin",
  Effect.fnUntraced(function*(handlers) {
    const policies = yield* PolicyResolver
    const keys = yield* ApiKeys

    return handlers.handleAll({
      getPolicy: Effect.fnUntraced(function*() {
        const { user } = yield* Caller
        return yield* Envelope.ok(yield* policies.resolve(user.tenantId))
      }, Envelope.answerFailures),

      putPolicy: Effect.fnUntraced(function*({ payload }) {
        const caller = yield* Caller
        caller.resourceId = caller.user.tenantId
        return yield* Envelope.ok(yield* policies.update(caller.user.tenantId, payload))
      }, Envelope.answerFailures),

      createApiKey: Effect.fnUntraced(function*({ payload }) {
        const caller = yield* Caller
        const { tenantId, userId } = caller.user
        const owner = payload.user_id === undefined || payload.user_id === userId
          ? caller.user
          : yield* keys.owner(tenantId, payload.user_id)
        if (owner === undefined) return yield* InvalidRequest.field("user_id", "no such user in this tenant")
        const beyond = payload.permissions.filter((permission) => !caller.user.permissions.has(permission))
        if (beyond.length > 0) {
          return yield* InvalidRequest.field("permissions", `you may not grant ${beyond.join(", ")}`)
        }
        const { key, record } = yield* keys.create({
          name: payload.name,
          owner,
          permissions: payload.permissions,
          ...(payload.expires_at === undefined ? {} : { expiresAt: payload.expires_at })
        })
        caller.resourceId = record.keyId
        return yield* Envelope.ok({ ...wire(record), key: Redacted.value(key) })
      }, Envelope.answerFailures),

      listApiKeys: Effect.fnUntraced(function*() {
        const { user } = yield* Caller
        return yield* Envelope.page((yield* keys.list(user.tenantId)).map(wire), null)
      }, Envelope.answerFailures),

      revokeApiKey: Effect.fnUntraced(function*({ params }) {
        const caller = yield* Caller
        caller.resourceId = params.key_id
        const id = decodeKeyId(params.key_id)
        if (Option.isNone(id)) return yield* new ApiKeyNotFound()
        yield* keys.revoke(caller.user.tenantId, id.value)
        return yield* Envelope.ok({ key_id: id.value, revoked: true as const })
      }, Envelope.answerFailures)
    })
  })
)

const wire = (key: ApiKey) => ({
  key_id: key.keyId,
  name: key.name,
  user_id: key.userId,
  permissions: key.permissions,
  created_at: key.createdAt,
  expires_at: key.expiresAt,
  last_used_at: key.lastUsedAt
})
