import { layer } from "@effect/vitest"
import { Cause, DateTime, Effect, Exit, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import { isVisibleTo, VoiceScope } from "../../src/domain/Voice.ts"
import type { Voice } from "../../src/domain/Voice.ts"
import { listQuery } from "../../src/services/sql/VoiceList.ts"
import type { VoiceCaller, VoiceFilter } from "../../src/services/sql/VoiceList.ts"
import { encode } from "../../src/services/sql/VoiceRow.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { sqlLayers } from "./sqlLayers.ts"

const caller = (tenantId: string, userId: string): VoiceCaller => ({
  tenantId: TenantId.make(tenantId),
  userId: UserId.make(userId)
})
const ada = caller("acme", "ada")

const voice = (id: string, fields: Partial<Voice> = {}): Voice => ({
  voiceId: VoiceId.make(`vox_${id}`),
  displayName: id,
  description: "",
  scope: "user",
  kind: "cloned",
  languagePrimary: "en",
  languageSupported: ["en"],
  gender: "unspecified",
  ageHint: null,
  styleTags: [],
  embeddingStatus: "ready",
  statusReason: null,
  ownerUserId: ada.userId,
  tenantId: ada.tenantId,
  defaults: {},
  preset: null,
  relaySpeaker: null,
  reference: null,
  designPrompt: null,
  consent: null,
  createdAt: DateTime.makeUnsafe(1_700_000_000_123),
  updatedAt: DateTime.makeUnsafe(1_700_000_000_456),
  ...fields
})
const everybodys = { scope: "global", ownerUserId: null, tenantId: null } as const

const rowsAtOnce = 200
const insert = Effect.fnUntraced(function*(...voices: ReadonlyArray<Voice>) {
  const sql = yield* SqlClient.SqlClient
  for (let i = 0; i < voices.length; i += rowsAtOnce) {
    const [first, ...others] = voices.slice(i, i + rowsAtOnce).map(encode)
    yield* sql`INSERT INTO voices ${sql.insert([first!, ...others])}`
  }
})
const clear = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`DELETE FROM voices`
  yield* TestClock.adjust("5 seconds")
})

const find = (by: VoiceCaller, id: string) => VoiceRepo.use((repo) => repo.find(by, VoiceId.make(`vox_${id}`)))
const list = (by: VoiceCaller, filter: VoiceFilter & { limit?: number; cursor?: string } = {}) =>
  VoiceRepo.use((repo) => repo.list(by, { limit: 200, ...filter }))
const names = (by: VoiceCaller, filter?: VoiceFilter) =>
  Effect.map(list(by, filter), ({ items }) => items.map(({ voiceId }) => voiceId.slice("vox_".length)))

/** Every page, `limit` at a time. */
const allPages = (by: VoiceCaller, filter: VoiceFilter, limit: number) =>
  Effect.gen(function*() {
    const pages: Array<ReadonlyArray<Voice>> = []
    let cursor: string | null | undefined
    while (cursor !== null) {
      const page: { items: ReadonlyArray<Voice>; nextCursor: string | null } = yield* list(by, {
        ...filter,
        limit,
        ...(cursor === undefined ? {} : { cursor })
      })
      pages.push(page.items)
      cursor = page.nextCursor
    }
    return pages
  })

/** Names that a careless comparison takes for one another. */
const People = Schema.Literals(["acme", "acme ", "ACME", "acmé", "a%", "' OR ''='"])
const Belongings = Schema.Array(Schema.Struct({ scope: VoiceScope, tenant: People, user: People })).check(
  Schema.isMaxLength(12)
)

layer(sqlLayers[0]!.layer)("a page of voices on MariaDB", (it) => {
  it.effect("is put together in memory, never on disk", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* insert(...Array.from({ length: 300 }, (_, i) => voice(`calm${i}`, { description: "long ".repeat(1_000) })))
      const onDisk = Effect.map(
        sql<{ Value: string }>`SHOW SESSION STATUS LIKE 'Created_tmp_disk_tables'`.unprepared,
        ([row]) => Number(row?.Value)
      )
      // A transaction keeps to one connection, whose counters these are.
      const [before, page, after] = yield* sql.withTransaction(
        Effect.all([onDisk, listQuery(sql, ada, { q: "calm" }, undefined, 201), onDisk])
      )
      assert.equal(page.length, 201)
      assert.equal(after, before)
    }))
})

for (const db of sqlLayers) {
  layer(VoiceRepo.layer.pipe(Layer.provideMerge(db.layer)))(`VoiceRepo on ${db.name}`, (it) => {
    it.effect("gives a voice back as it was stored", () =>
      Effect.gen(function*() {
        const stored = voice("full", {
          displayName: "Žofie „hlas“ 🦜",
          description: "line one\nline \\two 'quoted' \"twice\"",
          ageHint: "30s",
          styleTags: ["calm", "日本"],
          statusReason: "as good as new",
          defaults: { speed: 1.25, cfgValue: 2.5, warmupTrimMs: 40, instructions: "softly" },
          preset: { engine: "flite", name: "awb" },
          relaySpeaker: "nova"
        })
        yield* insert(stored)
        assert.deepEqual(yield* find(ada, "full"), stored)
        assert.deepEqual((yield* list(ada)).items, [stored])
      }))

    it.effect("remembers what was found, and what was not, for five seconds", () =>
      Effect.gen(function*() {
        yield* clear
        yield* insert(voice("seen"))
        yield* find(ada, "seen")
        yield* Effect.flip(find(ada, "unseen"))
        const sql = yield* SqlClient.SqlClient
        yield* sql`DELETE FROM voices`
        yield* insert(voice("unseen"))
        yield* TestClock.adjust(4_999)
        yield* find(ada, "seen")
        assert.equal((yield* Effect.flip(find(ada, "unseen")))._tag, "VoiceNotFound")
        yield* TestClock.adjust(1)
        assert.equal((yield* Effect.flip(find(ada, "seen")))._tag, "VoiceNotFound")
        yield* find(ada, "unseen")
      }))

    it.effect("forgets a voice for every caller at once", () =>
      Effect.gen(function*() {
        yield* clear
        yield* insert(voice("told", everybodys), voice("other", everybodys))
        const bob = caller("b", "bob")
        yield* Effect.all([find(ada, "told"), find(bob, "told"), find(bob, "other")])
        const sql = yield* SqlClient.SqlClient
        yield* sql`DELETE FROM voices`
        yield* VoiceRepo.use((repo) => repo.invalidate(VoiceId.make("vox_told")))
        yield* Effect.flip(find(ada, "told"))
        yield* Effect.flip(find(bob, "told"))
        yield* find(bob, "other")
      }))

    it.effect.prop(
      "finds and lists exactly what the visibility rule says",
      [Belongings, People, People],
      ([all, t, u]) =>
        Effect.gen(function*() {
          yield* clear
          const voices = all.map(({ scope, tenant, user }, i) =>
            voice(
              `v${i.toString().padStart(2, "0")}`,
              scope === "global"
                ? everybodys
                : { scope, tenantId: TenantId.make(tenant), ownerUserId: UserId.make(user) }
            )
          )
          yield* insert(...voices)
          const by = caller(t, u)
          const expected = voices.filter((one) => isVisibleTo(one, by)).map(({ voiceId }) => voiceId)
          assert.deepEqual((yield* list(by)).items.map(({ voiceId }) => voiceId), expected)
          for (const { voiceId } of voices) {
            const exit = yield* Effect.exit(VoiceRepo.use((repo) => repo.find(by, voiceId)))
            assert.equal(Exit.isSuccess(exit), expected.includes(voiceId))
          }
        }),
      { arbitrary: { runs: 30 } }
    )

    it.effect("cannot store a voice whose scope and owner contradict each other", () =>
      Effect.gen(function*() {
        yield* Effect.flip(insert(voice("stray", { scope: "global" })))
        yield* Effect.flip(insert(voice("stray", { tenantId: null })))
      }))

    it.effect("filters by every field", () =>
      Effect.gen(function*() {
        yield* clear
        yield* insert(
          voice("va", { ...everybodys, kind: "preset", gender: "female", languageSupported: ["en", "nl"] }),
          voice("vb", { scope: "tenant", languagePrimary: "de", languageSupported: ["de"] }),
          voice("vc", { embeddingStatus: "pending" })
        )
        const cases: ReadonlyArray<readonly [VoiceFilter, ReadonlyArray<string>]> = [
          [{}, ["va", "vb", "vc"]],
          [{ language: "nl" }, ["va"]],
          [{ language: "de" }, ["vb"]],
          [{ language: "n" }, []],
          [{ scope: "user" }, ["vc"]],
          [{ scope: "tenant" }, ["vb"]],
          [{ scope: "global", gender: "female", kind: "preset" }, ["va"]],
          [{ embeddingStatus: "pending" }, ["vc"]],
          [{ gender: "male" }, []]
        ]
        for (const [filter, expected] of cases) assert.deepEqual(yield* names(ada, filter), expected)
      }))

    it.effect("searches name, description and tags, the better match first", () =>
      Effect.gen(function*() {
        yield* clear
        yield* insert(
          voice("va", { displayName: "Grandfather", description: "A calm narrator." }),
          voice("vb", { displayName: "The Calm One" }),
          voice("vc", { ...everybodys, displayName: "CALM José", styleTags: ["warm", "Straße 100%"] }),
          voice("vd", { displayName: "İstanbul", description: "under_score" }),
          voice("ve", { displayName: "ﬁne 日本語", description: "it's" })
        )
        const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
          ["calm", ["vc", "vb", "va"]],
          ["  CÁLM  ", ["vc", "vb", "va"]],
          ["calm narrator", ["va"]],
          ["narrator calm", ["va"]],
          ["jose", ["vc"]],
          ["istanbul", ["vd"]],
          ["fine", ["ve"]],
          ["日本", ["ve"]],
          ["100%", ["vc"]],
          ["%", ["vc"]],
          ["_", ["vd"]],
          ["'", ["ve"]],
          ["' OR 1=1 --", []],
          ["\\", []],
          ["\u0000", ["va", "vb", "vc", "vd", "ve"]],
          ["one grandfather", []],
          ["", ["va", "vb", "vc", "vd", "ve"]]
        ]
        for (const [q, expected] of cases) assert.deepEqual(yield* names(ada, { q }), expected, q)
      }))

    it.effect("refuses cursors that it did not make, and limits that no page has", () =>
      Effect.gen(function*() {
        const field = (cursor: string, limit = 10) =>
          Effect.map(Effect.flip(list(ada, { cursor, limit })), (failure) =>
            "details" in failure && failure.details[0]?.field)
        const forged = (text: string) =>
          Buffer.from(text).toString("base64url")
        for (
          const cursor of [
            "",
            "?",
            "null",
            forged("3vox_ab"),
            forged("0"),
            forged("0syn_ab"),
            forged("0vox_A b"),
            forged("0vox_ab") + "="
          ]
        ) {
          assert.equal(yield* field(cursor), "cursor", cursor)
        }
        for (const limit of [0, -1, 201, 1.5, Number.NaN]) assert.equal(yield* field(forged("0vox_ab"), limit), "limit")
      }))

    it.effect("turns 2 000 voices' pages without gap or double, by index", () =>
      Effect.gen(function*() {
        yield* clear
        const scopes = [everybodys, { scope: "tenant" }, { scope: "user" }, {
          tenantId: TenantId.make("other")
        }] as const
        const id = (i: number) => `p${(i * 7919 % 2000).toString().padStart(4, "0")}`
        const voices = Array.from({ length: 2_000 }, (_, i) =>
          voice(id(i), {
            ...scopes[i % 4],
            displayName: i % 3 === 0 ? `Calm ${i}` : i % 3 === 1 ? `so calm ${i}` : "calmer"
          }))
        yield* insert(...voices)
        const visible = voices.filter((one) => isVisibleTo(one, ada)).map(({ voiceId }) => voiceId).toSorted()

        const plain = yield* allPages(ada, {}, 97)
        assert.deepEqual(plain.flat().map(({ voiceId }) => voiceId), visible)
        assert.ok(plain.slice(0, -1).every((page) => page.length === 97))

        const searched = (yield* allPages(ada, { q: "calm" }, 97)).flat()
        assert.deepEqual(searched.map(({ voiceId }) => voiceId).toSorted(), visible)
        const ranks = searched.map(({ displayName }) => (displayName.startsWith("so") ? 1 : 0))
        assert.deepEqual(ranks, ranks.toSorted())

        const sql = yield* SqlClient.SqlClient
        yield* sql.onDialectOrElse({ mysql: () => sql`ANALYZE TABLE voices`.unprepared, orElse: () => sql`ANALYZE` })
        const after = { rank: 0, voiceId: VoiceId.make("vox_p1000") }
        const cases = [[{}, 3, true], [{ language: "mt", gender: "male" }, 3, true], [{ q: "calm" }, 6, false]] as const
        for (const [filter, branches, covered] of cases) {
          const page = listQuery(sql, ada, filter, after, 51)
          const uses: ReadonlyArray<string> = yield* sql.onDialectOrElse({
            mysql: () =>
              Effect.map(sql<{ table: string; key: string | null; Extra: string }>`EXPLAIN ${page}`, (plan) =>
                plan.filter(({ table }) => table === "voices").map(({ Extra, key }) => `${key}: ${Extra}`)),
            orElse: () =>
              Effect.map(sql<{ detail: string }>`EXPLAIN QUERY PLAN ${page}`, (plan) =>
                plan.map(({ detail }) =>
                  detail
                ).filter((detail) => detail.includes(" voices")))
          })
          const [pages, texts] = [/voices_(in_tenant|of_owner)/u, /PRIMARY|autoindex/u]
            .map((index) =>
              uses.filter((use) => index.test(use))
            )
          assert.deepEqual([pages?.length, texts?.length, uses.length], [branches, 1, branches + 1], uses.join("\n"))
          // A filter is answered from the index alone; a search leaves it for the rows that its bits let pass.
          const reads = sql.onDialectOrElse({
            mysql: () => covered ? /Using index$/u : /Using index condition/u,
            orElse: () => covered ? /USING COVERING INDEX/u : /USING INDEX/u
          })
          assert.deepEqual(pages?.filter((use) => !reads.test(use)), [])
        }
      }))

    it.effect("writes preset voices once, however many processes list them, and touches only what changed", () =>
      Effect.gen(function*() {
        yield* clear
        const listing = (name: string, description = "") => ({
          voiceId: VoiceId.make(`vox_flite_${name}`),
          displayName: name.toUpperCase(),
          description,
          gender: "male" as const,
          languages: ["en", "nl"],
          styleTags: ["clear"],
          preset: { engine: "flite", name },
          relaySpeaker: null
        })
        const sync = (...listings: ReadonlyArray<ReturnType<typeof listing>>) =>
          VoiceRepo.use((repo) => repo.syncPresets(listings))
        const both = [listing("awb"), listing("rms")] as const
        yield* Effect.all(Array.from({ length: 8 }, () => sync(...both)), { concurrency: "unbounded" })
        const first = yield* find(ada, "flite_awb")
        assert.equal(first.scope, "global")
        assert.deepEqual(first.languageSupported, ["en", "nl"])
        assert.deepEqual(yield* names(ada), ["flite_awb", "flite_rms"])

        const sql = yield* SqlClient.SqlClient
        yield* sql`UPDATE voices SET description = 'edited by hand' WHERE voice_id = 'vox_flite_rms'`
        yield* TestClock.adjust("1 minute")
        yield* sync(listing("awb", "A Scot."), listing("rms"))
        const changed = yield* find(ada, "flite_awb")
        assert.equal(changed.description, "A Scot.")
        assert.deepEqual(changed.createdAt, first.createdAt)
        assert.ok(DateTime.toEpochMillis(changed.updatedAt) >= DateTime.toEpochMillis(first.updatedAt) + 60_000)
        const kept = yield* find(ada, "flite_rms")
        assert.equal(kept.description, "edited by hand")
        assert.deepEqual(kept.updatedAt, first.updatedAt)
      }))

    it.effect("never lets a listing take over a voice that is not a preset", () =>
      Effect.gen(function*() {
        yield* clear
        yield* insert(voice("flite_mine"))
        yield* VoiceRepo.use((repo) =>
          repo.syncPresets([{
            voiceId: VoiceId.make("vox_flite_mine"),
            displayName: "Stolen",
            description: "",
            gender: "male",
            languages: ["en"],
            styleTags: [],
            preset: null,
            relaySpeaker: null
          }])
        )
        assert.equal((yield* find(ada, "flite_mine")).displayName, "flite_mine")
      }))

    it.effect("dies of a row that it did not write", () =>
      Effect.gen(function*() {
        yield* clear
        yield* insert(voice("broken"))
        const sql = yield* SqlClient.SqlClient
        yield* sql`UPDATE voices SET style_tags = 'no json'`
        const exit = yield* Effect.exit(find(ada, "broken"))
        assert.ok(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      }))
  })
}
