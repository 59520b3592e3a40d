import { layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import type { VoiceId } from "../../src/domain/Ids.ts"
import { TenantId, UserId } from "../../src/domain/Ids.ts"
import { GlobalVoices } from "../../src/services/GlobalVoices.ts"
import { Licences } from "../../src/services/Licences.ts"
import { VoiceRepo } from "../../src/services/VoiceRepo.ts"
import { intake } from "../layers/intake.ts"
import { sqlLayers } from "./sqlLayers.ts"

const ada = { tenantId: TenantId.make("acme"), userId: UserId.make("ada") }
const find = (id: VoiceId) => VoiceRepo.use((voices) => voices.find(ada, id))
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
  })
}
