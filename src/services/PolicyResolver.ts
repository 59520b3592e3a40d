/**
 * A tenant's backend policy: provisioned at its first call, remembered for up to 5 s in this process. Other processes hear
 * of an update by signal.
 */
import { Cache, Clock, Context, Effect, Exit, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { initialPolicy } from "../domain/BackendPolicy.ts"
import type { BackendPolicy } from "../domain/BackendPolicy.ts"
import { ModuleNotEnabled } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { TenantId } from "../domain/Ids.ts"
import { orUnavailable } from "./Database.ts"
import { onSignal, Signals } from "./Signals.ts"
import { overwrite } from "./sql/Dialect.ts"
import { policyOf, policyRow, provisionTenant } from "./sql/Provision.ts"
import { recall } from "./sql/Recall.ts"

/** How long another process may go on with the policy from before an update that it was not told of. */
const rememberedMillis = 5_000
const rememberedMax = 10_000

export class PolicyResolver extends Context.Service<PolicyResolver, {
  /** The default policy for a tenant that is met for the first time, which is stored. */
  readonly resolve: (tenantId: TenantId) => Effect.Effect<BackendPolicy, ModuleNotEnabled | StorageUnavailable>
  /** Replaces the policy and returns it. Takes effect at once. */
  readonly update: (tenantId: TenantId, policy: BackendPolicy) => Effect.Effect<BackendPolicy, StorageUnavailable>
}>()("scaispeak/PolicyResolver") {
  static readonly layer = Layer.effect(
    PolicyResolver,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const signals = yield* Signals
      const provision = (tenantId: TenantId) =>
        Effect.provideService(provisionTenant({ tenantId }), SqlClient.SqlClient, sql)

      const read = Effect.fn("PolicyResolver.read")(function*(tenantId: TenantId) {
        const [row] = yield* sql<PolicyRow>`
          SELECT module_enabled, allowed_backends, default_backend FROM tenants
          LEFT JOIN tenant_policies ON tenant_policies.tenant_id = tenants.tenant_id
          WHERE tenants.tenant_id = ${tenantId}`
        if (row !== undefined && row.module_enabled === 0) return yield* new ModuleNotEnabled()
        if (row !== undefined && row.allowed_backends !== null) return yield* policyOf(row)
        yield* provision(tenantId)
        return initialPolicy
      }, orUnavailable)

      const remembered = yield* Cache.makeWith(read, {
        capacity: rememberedMax,
        timeToLive: (exit) => Exit.isSuccess(exit) || isDisabled(exit) ? rememberedMillis : 0
      })

      const tellOthers = yield* onSignal(signals, "policy.changed", (signal) =>
        signal._tag === "Resync"
          ? Cache.invalidateAll(remembered)
          : Cache.invalidate(remembered, signal.payload.tenantId))

      return PolicyResolver.of({
        resolve: (tenantId) => recall(remembered, tenantId),
        update: Effect.fn("PolicyResolver.update")(function*(tenantId, policy) {
          const row = policyRow(tenantId, policy, yield* Clock.currentTimeMillis)
          const replaced = overwrite(sql, ["tenant_id"], ["allowed_backends", "default_backend", "updated_at"])
          yield* provision(tenantId).pipe(
            Effect.andThen(sql`INSERT INTO tenant_policies ${sql.insert(row)} ${replaced}`),
            orUnavailable
          )
          yield* Cache.invalidate(remembered, tenantId)
          yield* tellOthers({ tenantId })
          return policy
        })
      })
    })
  )
}

/** Nulls when the tenant is known and has no policy yet. */
type PolicyRow =
  & { readonly module_enabled: number }
  & (
    | { readonly allowed_backends: string; readonly default_backend: string }
    | { readonly allowed_backends: null; readonly default_backend: null }
  )

const isDisabled = (exit: Exit.Exit<unknown, ModuleNotEnabled | StorageUnavailable>): boolean =>
  Exit.findErrorOption(exit).pipe((error) => error._tag === "Some" && error.value._tag === "ModuleNotEnabled")
