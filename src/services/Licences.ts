/**
 * Licences of global voices: refuses what has expired or is used up, and counts the characters of usage-bound ones.
 *
 * Characters are reserved before any backend is asked, and stay counted unless the call is refused before a backend was
 * asked or fails before anything is heard. A call that its caller abandons has cost its whole text, which was dispatched.
 * A process that dies, or a database that is lost in mid-statement, leaves what was reserved counted: the licensor never
 * loses a character by it. The count never passes the cap, however many processes speak.
 *
 * Terms are remembered for up to 5 s: a voice without a licence, and one bound by time alone, cost no round trip; a
 * usage-bound one costs one, which sees the terms as they are. Expiry and changes meet new calls; running ones finish.
 */
import { Cache, Clock, Context, Effect, Exit, Layer, Schedule } from "effect"
import type { Scope } from "effect"
import { SqlClient } from "effect/sql"
import { VoiceLicenseExhausted, VoiceLicenseExpired } from "../domain/Failure.ts"
import type { InvalidRequest, StorageUnavailable, VoiceNotFound } from "../domain/Failure.ts"
import type { LicenceId, VoiceId } from "../domain/Ids.ts"
import { hasExpired, mayUse } from "../domain/Licence.ts"
import type { Licence, LicenceTerms } from "../domain/Licence.ts"
import type { Voice } from "../domain/Voice.ts"
import type { HoldFacts } from "./Accounting.ts"
import { held } from "./Held.ts"
import * as Rows from "./Licences/Rows.ts"
import { recall } from "./sql/Recall.ts"

/** How long another process may go on with the terms from before a change. */
const rememberedMillis = 5_000
const rememberedMax = 10_000

/** Room that is seen and gone again at the next look: others took it. */
const looksMax = 3

/** A lost connection is made anew by the next try; after the last one the characters stay counted. */
const givingBack = { schedule: Schedule.spaced("100 millis"), times: 5 } as const

type Speaker = Pick<Voice, "voiceId" | "scope">

export class Licences extends Context.Service<Licences, {
  /** The licence with its count as they are now; null: the voice has none. One round trip. */
  readonly find: (id: VoiceId) => Effect.Effect<Licence | null, StorageUnavailable>
  /** Refuses a voice whose licence has ended. */
  readonly check: (voice: Speaker) => Effect.Effect<void, VoiceLicenseExpired | StorageUnavailable>
  /** Reserves `characters` (code points) until the scope closes; then `facts` tell whether they were used. */
  readonly hold: (
    voice: Speaker,
    characters: number,
    facts: HoldFacts
  ) => Effect.Effect<void, VoiceLicenseExpired | VoiceLicenseExhausted | StorageUnavailable, Scope.Scope>
  /**
   * Reserves `characters` with no end, for a text that is spoken later by whatever process; returns the licence that counts
   * them, null when none does. Whoever asked gives back what is not spoken.
   */
  readonly reserve: (
    voice: Speaker,
    characters: number
  ) => Effect.Effect<LicenceId | null, VoiceLicenseExpired | VoiceLicenseExhausted | StorageUnavailable>
  /** Of a licence that has been replaced since, nothing is given back. Joins a transaction. */
  readonly giveBack: (
    licence: LicenceId,
    id: VoiceId,
    characters: number
  ) => Effect.Effect<void, StorageUnavailable>
  /** Licenses a global voice, or changes its terms; what was used stays counted. Takes effect at once in this process. */
  readonly change: (
    id: VoiceId,
    changes: Partial<LicenceTerms>
  ) => Effect.Effect<Licence, VoiceNotFound | InvalidRequest | StorageUnavailable>
  /** The same with another signed document; `formerKey` is where the one before it lies. Joins a transaction. */
  readonly changeDocument: (
    id: VoiceId,
    changes: Partial<LicenceTerms>,
    documentKey: string
  ) => Effect.Effect<
    { readonly licence: Licence; readonly formerKey: string | null },
    VoiceNotFound | InvalidRequest | StorageUnavailable
  >
}>()("scaispeak/Licences") {
  static readonly layer = Layer.effect(
    Licences,
    Effect.gen(function*() {
      const rows = yield* Rows.make
      const sql = yield* SqlClient.SqlClient
      const remembered = yield* Cache.makeWith(rows.find, {
        capacity: rememberedMax,
        timeToLive: (exit) => Exit.isSuccess(exit) ? rememberedMillis : 0
      })
      const termsOf = (voice: Speaker): Effect.Effect<Licence | null, StorageUnavailable> =>
        voice.scope === "global" ? recall(remembered, voice.voiceId) : Effect.succeed(null)

      const check = Effect.fnUntraced(function*(voice: Speaker) {
        const licence = yield* termsOf(voice)
        if (licence !== null && hasExpired(licence, yield* Clock.currentTimeMillis)) {
          return yield* new VoiceLicenseExpired({ voiceId: voice.voiceId })
        }
      })

      /** The licence that has counted them; null when none has to. */
      const reserve = Effect.fnUntraced(function*(voice: Speaker, characters: number) {
        const { voiceId } = voice
        let licence = yield* termsOf(voice)
        for (let looks = 0; looks < looksMax; looks++) {
          if (licence === null || licence.characterCap === null) return null
          if (yield* rows.reserve(licence.licenseId, voiceId, characters)) return licence
          // No room, or other terms than the remembered ones.
          yield* Cache.invalidate(remembered, voiceId)
          licence = yield* termsOf(voice)
          const refusal = licence && mayUse(voiceId, licence, yield* Clock.currentTimeMillis, characters)
          if (refusal) return yield* refusal
        }
        return yield* new VoiceLicenseExhausted({ voiceId, characters })
      })

      const settle = (licence: Licence | null, { voiceId }: Speaker, characters: number, facts: HoldFacts) =>
        licence === null || isUsed(facts) ? Effect.void : rows.giveBack(licence.licenseId, voiceId, characters).pipe(
          Effect.retry(givingBack),
          Effect.catch((cause) => Effect.logWarning("unused characters stay counted", { voiceId, characters }, cause))
        )

      const change = (id: VoiceId, changes: Partial<LicenceTerms>, documentKey?: string) =>
        Effect.tap(rows.change(id, changes, documentKey), () => sql.afterCommit(Cache.invalidate(remembered, id)))

      return Licences.of({
        find: rows.find,
        check,
        hold: (voice, characters, facts) =>
          Effect.asVoid(held(
            reserve(voice, characters),
            (licence) => settle(licence, voice, characters, facts)
          )),
        reserve: (voice, characters) => Effect.map(reserve(voice, characters), (licence) => licence?.licenseId ?? null),
        giveBack: (licence, id, characters) => Effect.asVoid(rows.giveBack(licence, id, characters)),
        change: (id, changes) => Effect.map(change(id, changes), ({ licence }) => licence),
        changeDocument: (id, changes, documentKey) =>
          Effect.map(change(id, changes, documentKey), ({ former, licence }) => ({
            licence,
            formerKey: former?.documentKey ?? null
          }))
      })
    })
  )
}

/** A backend was asked, and did not fail before anything was heard. */
const isUsed = ({ backend, firstAudioMs, outcome }: HoldFacts): boolean =>
  backend !== undefined && (outcome !== "failed" || firstAudioMs !== undefined)
