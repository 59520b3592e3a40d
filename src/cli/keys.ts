/** `scaispeak keys create|list|revoke`: API keys straight in the database, for whoever may read its settings. */
import { Console, Effect, Layer, Redacted } from "effect"
import { Config } from "../Config.ts"
import { ApiKeyId, TenantId, UserId } from "../domain/Ids.ts"
import { granted } from "../domain/Permission.ts"
import type { Permission, Role } from "../domain/Permission.ts"
import { ApiKeys } from "../services/ApiKeys.ts"
import { Database } from "../services/Database.ts"
import { Redis } from "../services/Redis.ts"
import { Signals } from "../services/Signals.ts"

const Keys = Layer.unwrap(
  Effect.map(
    Config,
    ({ databaseUrl, redisUrl }) =>
      ApiKeys.layer.pipe(
        Layer.provide([Database.layer(databaseUrl), Signals.layer]),
        Layer.provide(redisUrl === undefined ? Layer.empty : Redis.layer(redisUrl))
      )
  )
).pipe(Layer.provide(Config.layer))

export const create = (flags: {
  readonly name: string
  readonly tenant: string
  readonly user: string
  readonly role: Role
  readonly permission: ReadonlyArray<Permission>
}) =>
  Effect.gen(function*() {
    const keys = yield* ApiKeys
    const { key, record } = yield* keys.create({
      name: flags.name,
      owner: { tenantId: TenantId.make(flags.tenant), userId: UserId.make(flags.user), role: flags.role },
      permissions: flags.permission.length > 0 ? flags.permission : granted[flags.role]
    })
    yield* Console.log(`${record.keyId}  ${Redacted.value(key)}`)
  }).pipe(Effect.provide(Keys))

export const list = ({ tenant }: { readonly tenant: string }) =>
  Effect.gen(function*() {
    const keys = yield* ApiKeys
    for (const key of yield* keys.list(TenantId.make(tenant))) {
      yield* Console.log(`${key.keyId}  ${key.userId}  ${key.name}  ${key.permissions.join(",")}`)
    }
  }).pipe(Effect.provide(Keys))

export const revoke = ({ keyId, tenant }: { readonly tenant: string; readonly keyId: string }) =>
  Effect.gen(function*() {
    yield* (yield* ApiKeys).revoke(TenantId.make(tenant), ApiKeyId.make(keyId))
    yield* Console.log(`${keyId} is revoked.`)
  }).pipe(Effect.provide(Keys))
