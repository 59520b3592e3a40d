/**
 * What a page of voices costs among 100 000, by p50 and p99, ms, over SQLite in a file and MariaDB (a running one by
 * SCAISPEAK_TEST_MARIADB_URL, whose database must be one to fill; else one of its own). The caller sees 43 000 of them:
 * 2 000 global ones, 40 000 of its tenant, 1 000 of its own.
 */
import { DateTime, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TenantId, UserId, VoiceId } from "../src/domain/Ids.ts"
import type { Voice } from "../src/domain/Voice.ts"
import { Database } from "../src/services/Database.ts"
import { Signals } from "../src/services/Signals.ts"
import type { VoiceFilter } from "../src/services/sql/VoiceList.ts"
import { encode } from "../src/services/sql/VoiceRow.ts"
import { VoiceRepo } from "../src/services/VoiceRepo.ts"
import { startMariadb } from "../test/servers/Mariadb.ts"
import { quantile } from "./harness.ts"

const voices = 100_000
const rowsAtOnce = 500
const rounds = 200
const limit = 50

const caller = { tenantId: TenantId.make("acme"), userId: UserId.make("ada") }

const belonging = (i: number) =>
  i % 50 === 0
    ? { scope: "global" as const, tenantId: null, ownerUserId: null }
    : i % 100 === 1
    ? { scope: "user" as const, tenantId: caller.tenantId, ownerUserId: caller.userId }
    : i % 5 < 2
    ? { scope: "tenant" as const, tenantId: caller.tenantId, ownerUserId: UserId.make(`user${i % 997}`) }
    : i % 5 === 2
    ? { scope: "user" as const, tenantId: caller.tenantId, ownerUserId: UserId.make(`user${i % 997}`) }
    : {
      scope: "tenant" as const,
      tenantId: TenantId.make(`tenant${i % 499}`),
      ownerUserId: UserId.make(`user${i % 997}`)
    }

const pick = <A>(from: ReadonlyArray<A>, i: number): A => from[i % from.length]!
const given = ["Ada", "Žofie", "Mateo", "Ngozi", "Yuki", "Ines", "Omar", "Linnea", "Tomás", "Aroha", "Priya"]
const moods = ["calm", "bright", "warm", "brisk", "deep", "husky", "clear"]
const uses = ["narration", "news", "dialogue", "announcements", "lessons"]
const languages = ["en", "de", "nl", "fr", "es", "ja", "hi", "cs", "pt"]

/** Ids are spread, so that neighbours in a page come from everywhere in the table. */
const voiceAt = (i: number): Voice => ({
  voiceId: VoiceId.make(`vox_${((i * 7919) % voices).toString().padStart(6, "0")}`),
  displayName: `${pick(given, i)} ${i}`,
  description: `A ${pick(moods, i)} voice for ${pick(uses, i)}, take ${i % 1000}. `.repeat(3),
  ...belonging(i),
  kind: i % 3 === 0 ? "designed" : "cloned",
  languagePrimary: i % 4999 === 0 ? "mt" : pick(languages, i),
  languageSupported: [pick(languages, i), pick(languages, i + 1)],
  gender: i % 2 === 0 ? "female" : "male",
  ageHint: "30s",
  styleTags: [pick(moods, i + 1), ...(i % 9973 === 0 ? ["zanzibar"] : [])],
  embeddingStatus: i % 1000 === 7 ? "evicted" : "ready",
  statusReason: null,
  defaults: { speed: 1.1 },
  preset: null,
  relaySpeaker: null,
  reference: null,
  consent: null,
  designPrompt: "A voice.",
  createdAt: DateTime.makeUnsafe(0),
  updatedAt: DateTime.makeUnsafe(0)
})

/** What a database server of its own is given; the tests' takes 64 MB. */
const poolBytes = 2 ** 29

const fill = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql.onDialectOrElse({
    mysql: () => sql.unsafe(`SET GLOBAL innodb_buffer_pool_size = ${poolBytes}`).unprepared,
    orElse: () => Effect.void
  })
  yield* sql`DELETE FROM voices`
  for (let at = 0; at < voices; at += rowsAtOnce) {
    const [first, ...others] = Array.from({ length: rowsAtOnce }, (_, i) => encode(voiceAt(at + i)))
    yield* sql`INSERT INTO voices ${sql.insert([first!, ...others])}`
  }
  yield* sql.onDialectOrElse({ mysql: () => sql`ANALYZE TABLE voices`.unprepared, orElse: () => sql`ANALYZE` })
})

const cases: ReadonlyArray<readonly [string, VoiceFilter]> = [
  ["every voice", {}],
  ["scope and gender", { scope: "tenant", gender: "female" }],
  ["language, one in nine", { language: "ja" }],
  ["language, one in 5 000", { language: "mt" }],
  ["status, one in 1 000", { embeddingStatus: "evicted" }],
  ["kind that nobody has", { kind: "preset" }],
  ["q, one in three", { q: "calm" }],
  ["q, two words", { q: "zofie narration" }],
  ["q, one in 10 000", { q: "zanzibar" }],
  ["q, nothing", { q: "xyzzy" }],
  ["q and language", { q: "calm", language: "ja" }]
]

/** Where `pages` pages further begin; undefined on the last. */
const cursorAfter = Effect.fnUntraced(function*(filter: VoiceFilter, pages: number) {
  const repo = yield* VoiceRepo
  let cursor: string | undefined
  for (let page = 0; page < pages; page++) {
    const { nextCursor } = yield* repo.list(caller, { ...filter, limit: 200, ...(cursor && { cursor }) })
    if (nextCursor === null) return undefined
    cursor = nextCursor
  }
  return cursor
})

const measure = Effect.fnUntraced(function*(filter: VoiceFilter, cursor: string | undefined) {
  const repo = yield* VoiceRepo
  const millis: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const began = performance.now()
    yield* repo.list(caller, { ...filter, limit, ...(cursor && { cursor }) })
    millis.push(performance.now() - began)
  }
  return [quantile(millis, 0.5), quantile(millis, 0.99)].map((ms) => ms.toFixed(2).padStart(8)).join(" ")
})

const bench = Effect.fnUntraced(function*(name: string) {
  yield* fill
  console.log(
    [`${name}, of 50`.padEnd(28), ...["first p50", "p99", "deep p50", "p99"].map((it) => it.padStart(8))].join(" ")
  )
  for (const [what, filter] of cases) {
    const deep = yield* cursorAfter(filter, 20)
    const first = yield* measure(filter, undefined)
    console.log([what.padEnd(28), first, deep === undefined ? "  one page" : yield* measure(filter, deep)].join(" "))
  }
})

const on = (name: string, url: string) =>
  Effect.provide(
    bench(name),
    VoiceRepo.layer.pipe(Layer.provide(Signals.layerMemory), Layer.provideMerge(Database.layer(Redacted.make(url))))
  )

const program = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-bench-"))),
    (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
  )
  yield* on("SQLite", `sqlite:${join(folder, "library.sqlite")}`)
  const given = process.env.SCAISPEAK_TEST_MARIADB_URL
  if (given !== undefined) return yield* on("MariaDB", given)
  const server = yield* Effect.acquireRelease(
    Effect.promise(startMariadb),
    (it) => Effect.promise(() => it.stop())
  )
  yield* on("MariaDB", server.url)
})

await Effect.runPromise(Effect.scoped(program))
