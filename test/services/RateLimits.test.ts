/**
 * One suite for limits counted in memory and in Redis. Time is the test's own in both; that Redis uses its own clock
 * otherwise, and what happens without Redis, is at the end.
 */
import { describe, it, layer } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Layer, Redacted, Schema } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { ApiKeyId, PartnerId, TenantId, UserId } from "../../src/domain/Ids.ts"
import type { AuthUser } from "../../src/domain/Permission.ts"
import { type RateLimitOptions, RateLimits } from "../../src/services/RateLimits.ts"
import { MemoryLog } from "../../src/services/RateLimits/MemoryLog.ts"
import { Redis } from "../../src/services/Redis.ts"
import { redisUrl } from "../servers/inject.ts"
import { startRedis } from "../servers/Redis.ts"

const redis = Layer.unwrap(Effect.map(Effect.promise(redisUrl), (url) => Redis.layer(Redacted.make(url))))

const stores = {
  memory: (options: RateLimitOptions) => RateLimits.layerMemory(options),
  Redis: (options: RateLimitOptions) =>
    RateLimits.layerRedis({ ...options, now: Clock.currentTimeMillis }).pipe(Layer.provide(redis))
}

interface Who {
  readonly key?: string
  readonly user?: string
  readonly tenant?: string
  readonly partner?: string
}

const caller = ({ key, partner, tenant = "t", user = "u" }: Who): AuthUser => ({
  userId: UserId.make(user),
  tenantId: TenantId.make(tenant),
  ...(partner === undefined ? {} : { partnerId: PartnerId.make(partner) }),
  role: "tenant_user",
  permissions: new Set(),
  credential: key === undefined ? { kind: "jwt" } : { kind: "apiKey", keyId: ApiKeyId.make(`key_${key}`) }
})

/** A name that no other test has used. */
let names = 0
const fresh = () => `n${names++}`

const check = (who: Who) => RateLimits.use((limits) => limits.check(caller(who)))
const refusal = (who: Who) => Effect.flip(check(who))

for (const [name, store] of Object.entries(stores)) {
  layer(store({ key: 3, user: 5, tenant: 7, partner: 9 }))(`RateLimits: ${name}`, (it) => {
    it.effect("lets a limit through, then says how long to wait", () =>
      Effect.gen(function*() {
        const who = { key: fresh(), user: fresh(), tenant: fresh() }
        assert.deepEqual(yield* check(who), { limit: 3, remaining: 2, resetSeconds: 60 })
        yield* TestClock.adjust("10 seconds")
        assert.deepEqual(yield* check(who), { limit: 3, remaining: 1, resetSeconds: 50 })
        yield* TestClock.adjust("10 seconds")
        assert.deepEqual(yield* check(who), { limit: 3, remaining: 0, resetSeconds: 40 })
        yield* TestClock.adjust("500 millis")
        const refused = yield* refusal(who)
        assert.deepEqual([refused._tag, refused.limit, refused.retryAfter], ["RateLimited", 3, 40])
        yield* TestClock.adjust("39499 millis")
        assert.equal((yield* refusal(who)).retryAfter, 1)
        yield* TestClock.adjust("1 millis")
        assert.deepEqual(yield* check(who), { limit: 3, remaining: 0, resetSeconds: 10 })
        assert.equal((yield* refusal(who)).retryAfter, 10)
        yield* TestClock.adjust("1 hour")
        assert.deepEqual(yield* check(who), { limit: 3, remaining: 2, resetSeconds: 60 })
      }))

    it.effect("counts a request in every tier of its caller, and a refused one in none", () =>
      Effect.gen(function*() {
        const [user, tenant, partner] = [fresh(), fresh(), fresh()]
        const [one, two] = [fresh(), fresh()]
        for (let i = 0; i < 3; i++) yield* check({ key: one, user, tenant, partner })
        // The key is used up: its requests must not use up the user's.
        for (let i = 0; i < 10; i++) assert.equal((yield* refusal({ key: one, user, tenant, partner })).limit, 3)
        assert.deepEqual(yield* check({ key: two, user, tenant, partner }), {
          limit: 5,
          remaining: 1,
          resetSeconds: 60
        })
        yield* check({ user, tenant, partner })
        assert.equal((yield* refusal({ key: two, user, tenant, partner })).limit, 5)
        yield* check({ user: fresh(), tenant, partner })
        yield* check({ user: fresh(), tenant, partner })
        assert.equal((yield* refusal({ user: fresh(), tenant, partner })).limit, 7)
        yield* check({ user: fresh(), tenant: fresh(), partner })
        yield* check({ user: fresh(), tenant: fresh(), partner })
        assert.equal((yield* refusal({ user: fresh(), tenant: fresh(), partner })).limit, 9)
        yield* check({ user: fresh(), tenant: fresh() })
      }))

    it.effect("tells the longest wait when several tiers refuse", () =>
      Effect.gen(function*() {
        const [key, user, tenant] = [fresh(), fresh(), fresh()]
        for (let i = 0; i < 2; i++) yield* check({ user, tenant })
        yield* TestClock.adjust("30 seconds")
        for (let i = 0; i < 3; i++) yield* check({ key, user, tenant })
        const refused = yield* refusal({ key, user, tenant })
        assert.deepEqual([refused.limit, refused.retryAfter], [3, 60])
      }))

    it.effect("does not take a user of one tenant for the other's", () =>
      Effect.gen(function*() {
        const [a, b] = [fresh(), fresh()]
        for (let i = 0; i < 5; i++) yield* check({ user: `${b}:x`, tenant: a })
        yield* refusal({ user: `${b}:x`, tenant: a })
        yield* check({ user: "x", tenant: `${a}:${b}` })
        yield* check({ user: `${b}:x`, tenant: fresh() })
      }))

    it.effect.prop(
      "lets through exactly what keeps every 60 s window within every limit",
      [
        Schema.Array(Schema.Struct({
          afterMillis: Schema.Literals([0, 1, 100, 7_000, 19_999, 30_000, 59_999, 60_000]),
          user: Schema.Literals(["a", "b"]),
          key: Schema.UndefinedOr(Schema.Literals(["k", "l"]))
        })).check(Schema.isMaxLength(60))
      ],
      ([requests]) =>
        Effect.gen(function*() {
          const tenant = fresh()
          const passed = new Map<string, Array<number>>()
          const tiersOf = (user: string, key: string | undefined): ReadonlyArray<readonly [string, number]> => [
            ...(key === undefined ? [] : [[`key ${user} ${key}`, 3] as const]),
            [`user ${user}`, 5],
            ["tenant", 7]
          ]
          for (const { afterMillis, key, user } of requests) {
            yield* TestClock.adjust(afterMillis)
            const now = yield* Clock.currentTimeMillis
            const tiers = tiersOf(user, key)
            const fits = tiers.every(([tier, limit]) =>
              (passed.get(tier) ?? []).filter((at) => at > now - 60_000).length < limit
            )
            const exit = yield* Effect.exit(
              check({ user, tenant, ...(key === undefined ? {} : { key: `${tenant}${user}${key}` }) })
            )
            assert.equal(Exit.isSuccess(exit), fits)
            if (fits) { for (const [tier] of tiers) passed.set(tier, [...(passed.get(tier) ?? []), now]) }
          }
          for (const [tier, times] of passed) {
            const limit = tier.startsWith("key") ? 3 : tier.startsWith("user") ? 5 : 7
            for (const from of times) {
              const window = times.filter((at) => at >= from && at < from + 60_000)
              assert.ok(window.length <= limit, `${window.length} in a minute for ${tier}`)
            }
          }
        }),
      { arbitrary: { runs: 60 } }
    )
  })

  layer(store({ key: 0, user: 2, tenant: 0, partner: 0 }))(`RateLimits switched off by tier: ${name}`, (it) => {
    it.effect("counts only the tiers that have a limit", () =>
      Effect.gen(function*() {
        const who = { key: fresh(), user: fresh() }
        yield* check(who)
        assert.equal((yield* check(who))?.remaining, 0)
        assert.equal((yield* refusal(who)).limit, 2)
      }))
  })

  layer(store({ key: 5, user: 0, tenant: 0, partner: 0 }))(`RateLimits that do not apply: ${name}`, (it) => {
    it.effect("says nothing when no limit applies", () =>
      Effect.gen(function*() {
        for (let i = 0; i < 10; i++) assert.equal(yield* check({}), undefined)
      }))
  })

  layer(store({ key: 0, user: 0, tenant: 100, partner: 0 }))(`RateLimits at once: ${name}`, (it) => {
    it.effect("counts requests that come together one by one", () =>
      Effect.gen(function*() {
        const who = { tenant: fresh() }
        const exits = yield* Effect.all(Array.from({ length: 250 }, () => Effect.exit(check(who))), {
          concurrency: "unbounded"
        })
        assert.equal(exits.filter(Exit.isSuccess).length, 100)
      }))
  })
}

describe("RateLimits in Redis", () => {
  const limits = { key: 0, user: 2, tenant: 0, partner: 0 }

  it.live("counts on Redis's clock, together with every other process, and forgets what is a minute old", () =>
    Effect.gen(function*() {
      const connection = yield* Layer.build(redis)
      const process = () => Effect.provide(check({ user: "shared" }), Layer.fresh(RateLimits.layer(limits)))
      yield* Effect.gen(function*() {
        yield* process()
        yield* process()
        assert.equal((yield* Effect.flip(process())).limit, 2)
        const left = yield* Redis.use(({ use }) => use((client) => client.pttl("scaispeak:rate:user:t:shared")))
        assert.ok(left > 55_000 && left <= 60_000)
      }).pipe(Effect.provide(connection))
    }))

  it.live("goes on counting in the process while Redis is away or hangs, and returns to Redis", () =>
    Effect.gen(function*() {
      const server = yield* Effect.acquireRelease(
        Effect.promise(startRedis),
        (server) => Effect.promise(() => server.stop())
      )
      const context = yield* Layer.build(
        RateLimits.layer(limits).pipe(Layer.provideMerge(Redis.layer(Redacted.make(server.url))))
      )
      yield* Effect.gen(function*() {
        yield* check({ user: "u" })
        yield* check({ user: "u" })
        yield* refusal({ user: "u" })

        server.pause()
        const [first] = yield* Effect.timed(check({ user: "u" }))
        assert.ok(Duration.toMillis(first) < 2_000)
        const [rest] = yield* Effect.timed(Effect.gen(function*() {
          assert.equal((yield* check({ user: "u" }))?.remaining, 0)
          for (let i = 0; i < 100; i++) assert.equal((yield* refusal({ user: "u" })).limit, 2)
        }))
        // Asked each time, Redis would make them wait half a second each.
        assert.ok(Duration.toMillis(rest) < 2_000)
        server.resume()

        yield* Effect.promise(() => server.kill())
        yield* Effect.sleep("1100 millis")
        yield* refusal({ user: "u" })
        yield* check({ user: "v" })

        yield* Effect.promise(() => server.start())
        // The restarted server has forgotten everything: that a used-up caller is let in shows that it is asked.
        yield* Effect.eventually(Effect.tapError(check({ user: "u" }), () => Effect.sleep("50 millis")))
        assert.equal(yield* Redis.use(({ use }) => use((client) => client.llen("scaispeak:rate:user:t:u"))), 1)
      }).pipe(Effect.provide(context))
    }))
})

describe("MemoryLog", () => {
  it("drops the logs of callers that have gone quiet", () => {
    const log = new MemoryLog(60_000)
    for (let i = 0; i < 1_000; i++) log.take([{ key: `k${i}`, limit: 5 }], 1_000)
    assert.equal(log.size, 1_000)
    log.take([{ key: "k0", limit: 5 }], 61_000)
    assert.equal(log.size, 1)
  })

  it("stands still when the clock is set back", () => {
    const log = new MemoryLog(60_000)
    const tiers = [{ key: "k", limit: 2 }]
    assert.equal(log.take(tiers, 100_000).allowed, true)
    assert.equal(log.take(tiers, 50_000).allowed, true)
    assert.equal(log.take(tiers, 111_000).allowed, false)
    assert.equal(log.take(tiers, 160_000).allowed, true)
  })
})
