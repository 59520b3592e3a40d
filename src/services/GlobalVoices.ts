/**
 * What a super admin does to the voices that are everybody's. Takes effect at once in this process, and within 5 s in
 * others; calls that run finish.
 *
 * A withdrawn voice keeps its id and nothing else: its row belongs to nobody (no tenant is called ""), so no caller sees
 * it, and a preset that an engine goes on listing does not come back.
 */
import { Clock, Context, DateTime, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { VoiceNotFound } from "../domain/Failure.ts"
import type { InvalidRequest, StorageUnavailable } from "../domain/Failure.ts"
import type { VoiceId } from "../domain/Ids.ts"
import type { Licence, LicenceTerms } from "../domain/Licence.ts"
import type { Voice } from "../domain/Voice.ts"
import { orUnavailable } from "./Database.ts"
import { makeId } from "./Ids.ts"
import { Licences } from "./Licences.ts"
import { affected } from "./sql/Dialect.ts"
import { encode } from "./sql/VoiceRow.ts"
import { VoiceRepo } from "./VoiceRepo.ts"

/** A voice that a speaker of the relay speaks. */
export type RelayVoice =
  & Pick<
    Voice,
    "displayName" | "description" | "languagePrimary" | "languageSupported" | "gender" | "ageHint" | "styleTags"
  >
  & { readonly relaySpeaker: string }

export class GlobalVoices extends Context.Service<GlobalVoices, {
  /** Voice and licence appear together; `terms` are null for a voice without one. */
  readonly add: (
    voice: RelayVoice,
    terms: Partial<LicenceTerms> | null
  ) => Effect.Effect<
    { readonly voice: Voice; readonly licence: Licence | null },
    InvalidRequest | StorageUnavailable
  >
  /** For good. Succeeds for a voice that is withdrawn already. */
  readonly withdraw: (id: VoiceId) => Effect.Effect<void, VoiceNotFound | StorageUnavailable>
}>()("scaispeak/GlobalVoices") {
  static readonly layer = Layer.effect(
    GlobalVoices,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const voices = yield* VoiceRepo
      const licences = yield* Licences

      const add = Effect.fn("GlobalVoices.add")(
        function*(fields: RelayVoice, terms: Partial<LicenceTerms> | null) {
          const now = DateTime.makeUnsafe(yield* Clock.currentTimeMillis)
          const voice: Voice = { ...fields, ...unowned, voiceId: yield* makeId("vox"), createdAt: now, updatedAt: now }
          yield* sql`INSERT INTO voices ${sql.insert(encode(voice))}`
          return { voice, licence: terms === null ? null : yield* licences.change(voice.voiceId, terms) }
        },
        sql.withTransaction,
        Effect.catchTag("VoiceNotFound", Effect.die),
        orUnavailable
      )

      const withdraw = Effect.fn("GlobalVoices.withdraw")(function*(id: VoiceId) {
        const row = { ...nobodys, updated_at: yield* Clock.currentTimeMillis }
        const found = yield* affected(
          sql`UPDATE voices SET ${sql.update(row)} WHERE voice_id = ${id} AND scope = 'global'`
        )
        yield* voices.invalidate(id)
        if (found === 1) return
        const withdrawn = yield* sql`SELECT voice_id FROM voices WHERE voice_id = ${id} AND tenant_id = ''`
        if (withdrawn.length === 0) return yield* new VoiceNotFound()
      }, orUnavailable)

      return GlobalVoices.of({ add, withdraw })
    })
  )
}

const unowned = {
  scope: "global",
  kind: "preset",
  embeddingStatus: "ready",
  statusReason: null,
  ownerUserId: null,
  tenantId: null,
  defaults: {},
  preset: null,
  reference: null,
  designPrompt: null,
  consent: null
} as const

/** Everything that said something about a voice, said no more. `listing_sha256` stays: what it lists is known. */
const nobodys = {
  scope: "user",
  tenant_id: "",
  owner_user_id: "",
  display_name: "withdrawn",
  description: "",
  age_hint: null,
  style_tags: "[]",
  embedding_status: "evicted",
  status_reason: "Withdrawn from the library.",
  defaults_json: "{}",
  preset: null,
  relay_speaker: null,
  reference_json: null,
  design_prompt: null,
  search_name: "",
  search_text: ""
}
