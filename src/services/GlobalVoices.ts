/**
 * What a super admin does to the voices that are everybody's. Takes effect at once in this process, and within 5 s in
 * others; calls that run finish. A voice that follows a recording stands on a licence, as others stand on consent.
 */
import { Clock, Context, DateTime, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { LicenceDocumentNotFound } from "../domain/Failure.ts"
import type {
  AudioUndecodable,
  InvalidRequest,
  PreflightFailed,
  StorageUnavailable,
  VoiceNotFound
} from "../domain/Failure.ts"
import type { VoiceId } from "../domain/Ids.ts"
import { changed } from "../domain/Licence.ts"
import type { Licence, LicenceTerms } from "../domain/Licence.ts"
import type { Voice } from "../domain/Voice.ts"
import type { ClipFile } from "./ClipFile.ts"
import { ClipIntake } from "./ClipIntake.ts"
import { orUnavailable } from "./Database.ts"
import { makeId } from "./Ids.ts"
import { Licences } from "./Licences.ts"
import { PendingBlobs } from "./PendingBlobs.ts"
import { encode } from "./sql/VoiceRow.ts"
import { documentOf, folderOf, referenceOf, voiceFolder } from "./VoiceIntake/Blobs.ts"
import { VoiceRepo } from "./VoiceRepo.ts"

/** A voice that a speaker of the relay speaks, or a recording is followed for. */
export type GlobalVoice =
  & Pick<
    Voice,
    "displayName" | "description" | "languagePrimary" | "languageSupported" | "gender" | "ageHint" | "styleTags"
  >
  & { readonly relaySpeaker: string | null }

/** What is stored with a voice; the files stay their owner's. */
export interface GlobalFiles {
  /** To be followed. */
  readonly reference?: ClipFile | undefined
  /** What is said in it, if known. */
  readonly referenceText?: string | undefined
  /** The signed licence. */
  readonly document?: ClipFile | undefined
}

export class GlobalVoices extends Context.Service<GlobalVoices, {
  /** Voice, licence and files appear together; `terms` are null for a voice without a licence, which files need. */
  readonly add: (
    voice: GlobalVoice,
    terms: Partial<LicenceTerms> | null,
    files?: GlobalFiles
  ) => Effect.Effect<
    { readonly voice: Voice; readonly licence: Licence | null },
    InvalidRequest | AudioUndecodable | PreflightFailed | StorageUnavailable
  >
  /** As `Licences.change`, with a document that takes the place of the one before. */
  readonly license: (
    id: VoiceId,
    changes: Partial<LicenceTerms>,
    document: ClipFile | undefined
  ) => Effect.Effect<Licence, VoiceNotFound | InvalidRequest | StorageUnavailable>
  /** Where the signed document of a voice's licence lies. */
  readonly documentKey: (id: VoiceId) => Effect.Effect<string, LicenceDocumentNotFound | StorageUnavailable>
}>()("scaispeak/GlobalVoices") {
  static readonly layer = Layer.effect(
    GlobalVoices,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const voices = yield* VoiceRepo
      const licences = yield* Licences
      const intake = yield* ClipIntake
      const pending = yield* PendingBlobs

      const add = Effect.fn("GlobalVoices.add")(function*(
        fields: GlobalVoice,
        given: Partial<LicenceTerms> | null,
        { document, reference: recording, referenceText }: GlobalFiles = {}
      ) {
        const terms = recording === undefined && document === undefined ? given : given ?? {}
        // Before anything is decoded or stored.
        if (terms !== null) yield* Effect.fromResult(changed(null, terms))
        const voiceId = yield* makeId("vox")
        const followed = recording === undefined
          ? undefined
          : referenceOf(voiceId, recording, yield* intake.examine(recording), referenceText)
        const signed = document === undefined ? undefined : yield* documentOf(voiceId, document)
        const now = DateTime.makeUnsafe(yield* Clock.currentTimeMillis)
        const voice: Voice = {
          ...fields,
          ...unowned,
          kind: followed === undefined ? "preset" : "cloned",
          reference: followed?.reference ?? null,
          voiceId,
          createdAt: now,
          updatedAt: now
        }
        const written = Effect.gen(function*() {
          yield* sql`INSERT INTO voices ${sql.insert(encode(voice))}`
          if (terms === null) return { voice, licence: null }
          if (signed === undefined) return { voice, licence: yield* licences.change(voiceId, terms) }
          return { voice, licence: (yield* licences.changeDocument(voiceId, terms, signed.key)).licence }
        }).pipe(Effect.catchTag("VoiceNotFound", Effect.die))
        const blobs = [...followed?.blobs ?? [], ...(signed === undefined ? [] : [signed])]
        const made = yield* blobs.length === 0
          ? orUnavailable(sql.withTransaction(written))
          : pending.storing(voiceFolder(voiceId), blobs, written)
        yield* voices.invalidate(voiceId)
        return made
      })

      const license = Effect.fn("GlobalVoices.license")(function*(
        id: VoiceId,
        changes: Partial<LicenceTerms>,
        document: ClipFile | undefined
      ) {
        if (document === undefined) return yield* licences.change(id, changes)
        const signed = yield* documentOf(id, document)
        const written = Effect.gen(function*() {
          const { formerKey, licence } = yield* licences.changeDocument(id, changes, signed.key)
          if (formerKey !== null) yield* pending.discard(folderOf(formerKey), 0)
          return licence
        })
        const licence = yield* pending.storing(folderOf(signed.key), [signed], written)
        yield* sweepNow
        return licence
      })

      /** What was discarded goes now, or with the next sweep. */
      const sweepNow = Effect.flatMap(Clock.currentTimeMillis, pending.sweep).pipe(Effect.ignore({ log: "Warn" }))

      const documentKey = Effect.fn("GlobalVoices.documentKey")(function*(id: VoiceId) {
        return (yield* licences.find(id))?.documentKey ?? (yield* new LicenceDocumentNotFound())
      })

      return GlobalVoices.of({ add, license, documentKey })
    })
  )
}

const unowned = {
  scope: "global",
  embeddingStatus: "ready",
  statusReason: null,
  ownerUserId: null,
  tenantId: null,
  defaults: {},
  preset: null,
  designPrompt: null,
  consent: null
} as const
