import { layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { TenantId, UserId, VoiceId } from "../../src/domain/Ids.ts"
import { GlobalVoices } from "../../src/services/GlobalVoices.ts"
import { Licences } from "../../src/services/Licences.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { intake } from "../layers/intake.ts"
import { sqlLayers } from "./sqlLayers.ts"

const ada = { tenantId: TenantId.make("acme"), userId: UserId.make("ada") }
const find = (id: VoiceId) => VoiceRepo.use((voices) => voices.find(ada, id))
const withdraw = (id: VoiceId) => GlobalVoices.use((globals) => globals.withdraw(id))
const ids = Effect.map(
  VoiceRepo.use((voices) => voices.list(ada, { limit: 200 })),
  ({ items }) => items.map(({ voiceId }) => voiceId)
)
const count = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const [row] = yield* sql<{ n: number }>`SELECT COUNT(*) AS n FROM voices`
  return Number(row?.n)
})

const relayVoice = {
  displayName: "Alloy",
  description: "Spoken elsewhere.",
  languagePrimary: "en",
  languageSupported: ["en", "de"],
  gender: "neutral",
  ageHint: null,
  styleTags: ["calm"],
  relaySpeaker: "alloy"
} as const

const listing = (displayName: string) => ({
  voiceId: VoiceId.make("vox_engine_awb"),
  displayName,
  description: "A Scot.",
  gender: "male" as const,
  languages: ["en"],
  styleTags: ["scottish"],
  preset: { engine: "engine", name: "awb" },
  relaySpeaker: null
})

for (const db of sqlLayers) {
  const Services = GlobalVoices.layer.pipe(
    Layer.provideMerge(intake),
    Layer.provideMerge(Layer.merge(VoiceRepo.layer, Licences.layer)),
    Layer.provideMerge(db.layer)
  )
  layer(Services)(`GlobalVoices on ${db.name}`, (it) => {
    it.effect("adds a voice with its licence, for everybody", () =>
      Effect.gen(function*() {
        const globals = yield* GlobalVoices
        const { licence, voice } = yield* globals.add(relayVoice, { licensor: "Ada", type: "perpetual" })
        assert.deepEqual(yield* find(voice.voiceId), voice)
        assert.deepEqual(yield* Licences.use((all) => all.find(voice.voiceId)), licence)
        assert.equal(licence?.licensor, "Ada")
        assert.equal((yield* globals.add(relayVoice, null)).licence, null)
      }))

    it.effect("adds no voice whose licence does not hold", () =>
      Effect.gen(function*() {
        const before = yield* count
        const added = GlobalVoices.use((globals) => globals.add(relayVoice, { licensor: "Ada", type: "usage_bound" }))
        assert.equal((yield* Effect.flip(added))._tag, "InvalidRequest")
        assert.equal(yield* count, before)
      }))

    it.effect("withdraws a preset for good, whatever its engine lists", () =>
      Effect.gen(function*() {
        const { voiceId } = listing("Alan")
        const sync = (name: string) => VoiceRepo.use((voices) => voices.syncPresets([listing(name)]))
        yield* sync("Alan")
        yield* find(voiceId)
        yield* withdraw(voiceId)
        yield* withdraw(voiceId)
        for (const name of ["Alan", "Alan W."]) {
          yield* sync(name)
          assert.equal((yield* Effect.flip(find(voiceId)))._tag, "VoiceNotFound")
          assert.ok(!(yield* ids).includes(voiceId))
        }
        const sql = yield* SqlClient.SqlClient
        const rows = yield* sql`SELECT * FROM voices WHERE voice_id = ${voiceId}`
        assert.ok(!/Alan|Scot/iu.test(JSON.stringify(rows)), "nothing is left that says who it was")
      }))

    it.effect("withdraws no voice of a user, and none that never was", () =>
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const { voice } = yield* GlobalVoices.use((globals) => globals.add(relayVoice, null))
        yield* sql`UPDATE voices SET scope = 'user', tenant_id = ${ada.tenantId}, owner_user_id = ${ada.userId}
          WHERE voice_id = ${voice.voiceId}`
        for (const id of [voice.voiceId, VoiceId.make("vox_never")]) {
          assert.equal((yield* Effect.flip(withdraw(id)))._tag, "VoiceNotFound")
        }
        assert.equal((yield* find(voice.voiceId)).displayName, "Alloy")
      }))
  })
}
