import { describe, it, layer } from "@effect/vitest"
import { DateTime, Effect, Exit, Layer, Logger, Redacted, Schema, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import type { LicenceTerms } from "../../src/domain/Licence.ts"
import type { HoldFacts } from "../../src/services/Accounting.ts"
import { Database } from "../../src/services/Database.ts"
import { Licences } from "../../src/services/Licences.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { voice } from "../layers/voices.ts"
import { startMariadb } from "../servers/Mariadb.ts"
import { sqlLayers } from "./sqlLayers.ts"

const unbound: Partial<LicenceTerms> = { licensor: "Ada", type: "perpetual" }
const capped = (characterCap: number): Partial<LicenceTerms> => ({ licensor: "Ada", type: "usage_bound", characterCap })
const until = (millis: number): Partial<LicenceTerms> => ({
  licensor: "Ada",
  type: "time_bound",
  expiresAt: DateTime.makeUnsafe(millis)
})

let count = 0
/** A new global voice, licensed if terms are given. */
const speaker = Effect.fnUntraced(function*(terms?: Partial<LicenceTerms>) {
  const sql = yield* SqlClient.SqlClient
  const made = voice({ voiceId: VoiceId.make(`vox_licensed_${count++}`) })
  yield* sql`INSERT INTO voices ${sql.insert(encode(made))}`
  if (terms !== undefined) yield* change(made.voiceId, terms)
  return made
})

type Speaker = Parameters<Licences["Service"]["check"]>[0]
const change = (id: VoiceId, terms: Partial<LicenceTerms>) => Licences.use((all) => all.change(id, terms))
const check = (voice: Speaker) => Licences.use((all) => all.check(voice))
const hold = (voice: Speaker, characters: number, facts: HoldFacts = {}) =>
  Licences.use((all) => all.hold(voice, characters, facts))
const used = ({ voiceId }: Speaker) =>
  Effect.map(Licences.use((all) => all.find(voiceId)), (licence) => licence?.charactersUsed)

/** Another process: with a memory of its own. */
const elsewhere = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.provide(effect, Layer.fresh(Licences.layer))

/** How calls end, and whether their characters stay counted. */
const ends: Record<string, readonly [facts: HoldFacts, counts: boolean]> = {
  "completed": [{ backend: "A", firstAudioMs: 5, outcome: "completed" }, true],
  "abandoned while it was heard": [{ backend: "A", firstAudioMs: 5 }, true],
  "abandoned before the first audio": [{ backend: "A" }, true],
  "broken off": [{ backend: "B", firstAudioMs: 5, outcome: "failed" }, true],
  "failed before the first audio": [{ backend: "B", outcome: "failed" }, false],
  "refused before a backend was asked": [{}, false]
}
const End = Schema.Literals(Object.keys(ends))
const Step = Schema.Struct({
  characters: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 })),
  end: End,
  /** How many of the calls that run end before this one begins. */
  closing: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 })),
  elsewhere: Schema.Boolean
})

for (const db of sqlLayers) {
  layer(Licences.layer.pipe(Layer.provideMerge(db.layer)))(`Licences on ${db.name}`, (it) => {
    it.effect("let 37 of 200 calls at once through where 37 fit, in three processes, and count exactly them", () =>
      Effect.gen(function*() {
        const one = yield* speaker(capped(37 * 11 + 10))
        const others = yield* Effect.all([1, 2].map(() => Layer.build(Layer.fresh(Licences.layer))))
        const exits = yield* Effect.forEach(Array.from({ length: 200 }, (_, i) => others[i % 3]), (other) => {
          const held = Effect.exit(hold(one, 11, ends["completed"]![0]))
          return other === undefined ? held : Effect.provide(held, other)
        }, { concurrency: "unbounded" })
        assert.equal(exits.filter(Exit.isSuccess).length, 37)
        assert.equal(yield* used(one), 37 * 11)
        const [refused] = exits.filter(Exit.isFailure).map((exit) => Exit.findErrorOption(exit))
        assert.ok(refused?._tag === "Some" && refused.value._tag === "VoiceLicenseExhausted")
        // What is left is still somebody's.
        yield* hold(one, 10)
        assert.equal(yield* used(one), 37 * 11 + 10)
      }))

    for (const [end, [facts, counts]] of Object.entries(ends)) {
      it.effect(`${counts ? "count" : "give back"} what was ${end}`, () =>
        Effect.gen(function*() {
          const one = yield* speaker(capped(100))
          yield* Effect.scoped(Effect.gen(function*() {
            yield* hold(one, 60, facts)
            assert.equal(yield* used(one), 60)
            assert.equal((yield* Effect.flip(hold(one, 41)))._tag, "VoiceLicenseExhausted")
          }))
          assert.equal(yield* used(one), counts ? 60 : 0)
        }))
    }

    it.effect("give back what was reserved for a call that is interrupted", () =>
      Effect.gen(function*() {
        const one = yield* speaker(capped(100))
        const call = Effect.scoped(Effect.andThen(hold(one, 60), Effect.never))
        yield* Effect.raceFirst(call, Effect.repeat(used(one), { until: (n) => n === 60 }))
        assert.equal(yield* used(one), 0)
      }))

    it.effect.prop(
      "hold exactly what runs and what was used, however calls begin and end",
      [Schema.Array(Step), Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 120 }))],
      ([steps, cap]) =>
        Effect.gen(function*() {
          const one = yield* speaker(capped(cap))
          const other = yield* Layer.build(Layer.fresh(Licences.layer))
          const running: Array<{ characters: number; counts: boolean; scope: Scope.Closeable }> = []
          let expected = 0
          for (const step of steps) {
            for (const { characters, counts, scope } of running.splice(0, step.closing)) {
              yield* Scope.close(scope, Exit.void)
              if (!counts) expected -= characters
            }
            const [facts, counts] = ends[step.end]!
            const scope = yield* Scope.make()
            const held = Effect.exit(hold(one, step.characters, facts)).pipe(Scope.provide(scope))
            const exit = yield* step.elsewhere ? Effect.provide(held, other) : held
            assert.equal(Exit.isSuccess(exit), expected + step.characters <= cap)
            if (Exit.isSuccess(exit)) {
              expected += step.characters
              running.push({ characters: step.characters, counts, scope })
            }
            assert.equal(yield* used(one), expected)
          }
          // All the rest at once.
          yield* Effect.forEach(running, ({ scope }) => Scope.close(scope, Exit.void), { concurrency: "unbounded" })
          for (const { characters, counts } of running) if (!counts) expected -= characters
          assert.equal(yield* used(one), expected)
          assert.ok(expected >= 0 && expected <= cap)
        }),
      { arbitrary: { runs: 25 } }
    )

    it.effect("end by the clock, for new calls alone", () =>
      Effect.gen(function*() {
        yield* TestClock.setTime(1_000)
        const timed = yield* speaker(until(60_000))
        const both = yield* speaker({ ...capped(100), expiresAt: DateTime.makeUnsafe(60_000) })
        yield* TestClock.setTime(59_999)
        for (const one of [timed, both]) {
          yield* check(one)
          yield* hold(one, 10, ends["completed"]![0])
        }
        yield* TestClock.setTime(60_000)
        for (const one of [timed, both]) assert.equal((yield* Effect.flip(check(one)))._tag, "VoiceLicenseExpired")
        // Ended between the check and the hold.
        assert.equal((yield* Effect.flip(hold(both, 10)))._tag, "VoiceLicenseExpired")
        assert.equal(yield* used(both), 10)
      }))

    it.effect("cost no round trip where nothing is counted, for five seconds", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const free = yield* speaker()
        const perpetual = yield* speaker(unbound)
        const timed = yield* speaker(until(Number.MAX_SAFE_INTEGER / 2))
        const all = Effect.forEach([free, perpetual, timed], (one) => Effect.andThen(check(one), hold(one, 1)))
        yield* all
        yield* sql`ALTER TABLE voice_licences RENAME TO hidden`
        yield* all
        yield* check(voice({ scope: "tenant", tenantId: TenantId.make("t"), ownerUserId: UserId.make("u") }))
        yield* TestClock.adjust("5 seconds")
        assert.ok(Exit.isFailure(yield* Effect.exit(all)))
        yield* sql`ALTER TABLE hidden RENAME TO voice_licences`
      }))

    it.effect("take new terms at once here, and within five seconds elsewhere", () =>
      Effect.gen(function*() {
        const one = yield* speaker(unbound)
        yield* elsewhere(Effect.gen(function*() {
          yield* check(one)
          yield* Effect.provide(change(one.voiceId, until(0)), Layer.fresh(Licences.layer))
          yield* check(one)
          yield* TestClock.adjust("5 seconds")
          assert.equal((yield* Effect.flip(check(one)))._tag, "VoiceLicenseExpired")
          yield* change(one.voiceId, { type: "perpetual" })
          yield* check(one)
        }))
      }))

    it.effect("see a raised or lowered cap at the next call, in every process", () =>
      Effect.gen(function*() {
        const one = yield* speaker(capped(10))
        yield* elsewhere(Effect.gen(function*() {
          yield* hold(one, 10, ends["completed"]![0])
          yield* Effect.provide(change(one.voiceId, { characterCap: 30 }), Layer.fresh(Licences.layer))
          yield* hold(one, 15, ends["completed"]![0])
          yield* Effect.provide(change(one.voiceId, { characterCap: 20 }), Layer.fresh(Licences.layer))
          assert.equal((yield* Effect.flip(hold(one, 1)))._tag, "VoiceLicenseExhausted")
          assert.equal(yield* used(one), 25)
          yield* Effect.provide(change(one.voiceId, { type: "perpetual" }), Layer.fresh(Licences.layer))
          yield* hold(one, 1000)
        }))
        assert.equal(yield* used(one), 25, "what was used stays counted")
      }))

    it.effect("keep their id and their count over changes that come together", () =>
      Effect.gen(function*() {
        const one = yield* speaker()
        const changes = Array.from({ length: 10 }, (_, i) => elsewhere(change(one.voiceId, capped(100 + i))))
        const made = yield* Effect.all(changes, { concurrency: "unbounded" })
        assert.equal(new Set(made.map(({ licenseId }) => licenseId)).size, 1)
      }))

    it.effect("belong to global voices, and need what their type is bound by", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        assert.equal((yield* Effect.flip(change(VoiceId.make("vox_none"), unbound)))._tag, "VoiceNotFound")
        const own = voice({
          voiceId: VoiceId.make("vox_own"),
          scope: "user",
          tenantId: TenantId.make("t"),
          ownerUserId: UserId.make("u")
        })
        yield* sql`INSERT INTO voices ${sql.insert(encode(own))}`
        assert.equal((yield* Effect.flip(change(own.voiceId, unbound)))._tag, "VoiceNotFound")
        const one = yield* speaker(capped(5))
        assert.equal((yield* Effect.flip(change(one.voiceId, { type: "time_bound" })))._tag, "InvalidRequest")
        assert.equal((yield* Licences.use((all) => all.find(one.voiceId)))?.type, "usage_bound")
      }))
  })

  describe(`Licences on ${db.name}, in processes with connections of their own`, () => {
    it.live("count exactly", () =>
      Effect.gen(function*() {
        const url = yield* db.freshUrl
        const processes = yield* Effect.all(
          [1, 2, 3].map(() => Layer.build(Layer.fresh(Licences.layer.pipe(Layer.provideMerge(Database.layer(url))))))
        )
        const one = yield* Effect.provide(speaker(capped(37 * 11)), processes[0]!)
        const exits = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, i) => processes[i % 3]!),
          (process) => Effect.exit(Effect.provide(hold(one, 11, ends["completed"]![0]), process)),
          { concurrency: "unbounded" }
        )
        assert.equal(exits.filter(Exit.isSuccess).length, 37)
        assert.equal(yield* Effect.provide(used(one), processes[0]!), 37 * 11)
      }))
  })
}

describe("Licences whose MariaDB is killed", () => {
  const server = Effect.acquireRelease(Effect.promise(startMariadb), (one) => Effect.promise(() => one.stop()))

  it.live("give back once the server is there again, and else count in the licensor's favour", () =>
    Effect.gen(function*() {
      const { kill, start, url } = yield* server
      const services = Licences.layer.pipe(Layer.provideMerge(Database.layer(Redacted.make(url))))
      yield* Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        // The server forgets a commit at a crash unless the log has left its process.
        yield* sql`SET GLOBAL innodb_flush_log_at_trx_commit = 2`.unprepared
        const one = yield* speaker(capped(100))
        const ended = yield* Scope.make()
        const restarted = yield* Scope.make()
        for (const scope of [ended, restarted]) yield* Scope.provide(hold(one, 30), scope)
        yield* Effect.promise(kill)
        assert.equal((yield* Effect.flip(Effect.scoped(hold(one, 30))))._tag, "StorageUnavailable")
        // Six tries in vain.
        yield* Scope.close(ended, Exit.void)
        yield* Effect.promise(start)
        yield* Scope.close(restarted, Exit.void)
        assert.equal(yield* used(one), 30, "the first stays counted, the second does not")
      }).pipe(Effect.provide(Layer.merge(services, Logger.layer([]))))
    }))
})
