/**
 * Whether a key is good, and whose it is: asked at every call, answered from memory for up to 5 s.
 *
 * Good keys are remembered apart from everything else that is asked for, so that somebody who tries keys at random can
 * push out other guesses and never a good key.
 */
import { Cache, Clock, Effect, Exit } from "effect"
import { SqlClient } from "effect/sql"
import { TokenInvalid } from "../../domain/Failure.ts"
import type { StorageUnavailable } from "../../domain/Failure.ts"
import type { ApiKeyId, PartnerId, TenantId, UserId } from "../../domain/Ids.ts"
import type { AuthUser, Role } from "../../domain/Permission.ts"
import { orUnavailable } from "../Database.ts"
import { bootstrapId, grantable, permissionsOf } from "./ApiKeyRow.ts"
import { recall } from "./Recall.ts"

const rememberedMillis = 5_000
const goodMax = 10_000
const guessesMax = 1_000

interface Checked {
  readonly user: AuthUser
  readonly keyId: ApiKeyId
  /** Epoch ms. */
  readonly expiresAt: number | null
}

interface Row {
  readonly key_id: ApiKeyId
  readonly tenant_id: TenantId
  readonly user_id: UserId
  readonly partner_id: PartnerId | null
  readonly role: Role
  readonly permissions: string
  readonly expires_at: number | null
}

export interface KeyCheck {
  /** By the key's SHA-256, in hex. */
  readonly check: (hash: string) => Effect.Effect<Checked, TokenInvalid | StorageUnavailable>
  /** To be called after any change of keys: the worth of the bootstrap key depends on all of them. */
  readonly forget: Effect.Effect<void>
}

export const makeKeyCheck: Effect.Effect<KeyCheck, never, SqlClient.SqlClient> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  let changes = 0

  const read = Effect.fn("KeyCheck.read")(function*(hash: string) {
    const [row] = yield* orUnavailable(sql<Row>`
      SELECT k.key_id, k.tenant_id, k.user_id, t.partner_id, u.role, k.permissions, k.expires_at FROM api_keys k
      JOIN users u ON u.tenant_id = k.tenant_id AND u.user_id = k.user_id
      JOIN tenants t ON t.tenant_id = k.tenant_id
      WHERE k.sha256 = ${hash} AND k.revoked_at IS NULL AND (k.key_id <> ${bootstrapId} OR NOT EXISTS (
        SELECT 1 FROM api_keys other WHERE other.key_id <> ${bootstrapId} AND other.revoked_at IS NULL))`)
    return row === undefined ? yield* new TokenInvalid() : checkedOf(row)
  })

  /** By hash, with the epoch ms until which it is remembered; what was stored longest ago makes room. */
  const good = new Map<string, readonly [Checked, until: number]>()
  const remember = (hash: string, checked: Checked, now: number) => {
    good.delete(hash)
    const [oldest] = good.keys()
    if (oldest !== undefined && good.size >= goodMax) good.delete(oldest)
    good.set(hash, [checked, now + rememberedMillis])
  }

  const asked = yield* Cache.makeWith(
    Effect.fnUntraced(function*(hash: string) {
      const before = changes
      const checked = yield* read(hash)
      // An answer that a change has overtaken serves those who asked before it, and nobody after.
      if (changes === before) remember(hash, checked, yield* Clock.currentTimeMillis)
      return checked
    }),
    { capacity: guessesMax, timeToLive: (exit) => isInvalid(exit) ? rememberedMillis : 0 }
  )

  return {
    check: Effect.fnUntraced(function*(hash) {
      const now = yield* Clock.currentTimeMillis
      const [known, until] = good.get(hash) ?? [undefined, 0]
      const checked = known !== undefined && now < until ? known : yield* recall(asked, hash)
      return checked.expiresAt !== null && checked.expiresAt <= now ? yield* new TokenInvalid() : checked
    }),
    forget: Effect.suspend(() => {
      changes++
      good.clear()
      return Cache.invalidateAll(asked)
    })
  }
})

const checkedOf = (row: Row): Checked => ({
  keyId: row.key_id,
  expiresAt: row.expires_at,
  user: {
    userId: row.user_id,
    tenantId: row.tenant_id,
    ...(row.partner_id === null ? {} : { partnerId: row.partner_id }),
    role: row.role,
    // The owner may have been given a smaller role since the key was made.
    permissions: new Set(permissionsOf(row.permissions).filter((one) => grantable[row.role].includes(one))),
    credential: { kind: "apiKey", keyId: row.key_id }
  }
})

const isInvalid = (exit: Exit.Exit<unknown, TokenInvalid | StorageUnavailable>): boolean =>
  Exit.findErrorOption(exit).pipe((error) => error._tag === "Some" && error.value._tag === "TokenInvalid")
