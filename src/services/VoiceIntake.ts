/**
 * New voices of a caller's own: cloned from recordings, with the speaker's consent, or designed from words. Each is ready
 * at once, or not there at all.
 *
 * Of a cloned voice the store keeps what came, both recordings bit for bit, and the normalised clip that engines follow.
 */
import { Context, DateTime, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import type { Origin } from "../domain/Consent.ts"
import { VoiceNotReady } from "../domain/Failure.ts"
import type { AudioUndecodable, InvalidRequest, PreflightFailed, StorageUnavailable } from "../domain/Failure.ts"
import type { VoiceId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { notReady } from "../domain/Voice.ts"
import type { Voice, VoiceConsent } from "../domain/Voice.ts"
import { described } from "../domain/VoiceMetadata.ts"
import type { VoiceClone, VoiceDesign, VoiceMetadata } from "../domain/VoiceMetadata.ts"
import type { ClipFile } from "./ClipFile.ts"
import { ClipFiles } from "./ClipFiles.ts"
import { ClipIntake } from "./ClipIntake.ts"
import { Consents } from "./Consents.ts"
import { orUnavailable } from "./Database.ts"
import { makeId } from "./Ids.ts"
import { ObjectStore } from "./ObjectStore.ts"
import { blobOf, PendingBlobs } from "./PendingBlobs.ts"
import { affected } from "./sql/Dialect.ts"
import { encode } from "./sql/VoiceRow.ts"
import { clipOf, consentKey, folderOf, referenceOf, voiceFolder } from "./VoiceIntake/Blobs.ts"
import { VoiceRepo } from "./VoiceRepo.ts"

export interface CloneClips {
  readonly reference: ClipFile
  /** The speaker, who says that they agree. */
  readonly consent: ClipFile
}

/** Other processes read the former clip for as long as they remember the voice; calls that run have it in memory. */
const formerClipMillis = 600_000

export class VoiceIntake extends Context.Service<VoiceIntake, {
  /** The clips stay their owner's; they may go when this returns. */
  readonly clone: (
    caller: AuthUser,
    from: Omit<Origin, "userId">,
    given: VoiceClone,
    clips: CloneClips
  ) => Effect.Effect<Voice, AudioUndecodable | PreflightFailed | InvalidRequest | StorageUnavailable>
  readonly design: (caller: AuthUser, given: VoiceDesign) => Effect.Effect<Voice, StorageUnavailable>
  /**
   * Takes the stored recording in once more, by the rules and with the code of today; its clip replaces the old one. A
   * recording that is refused changes nothing. A voice without a recording is returned as it is.
   */
  readonly repeat: (
    voice: Voice
  ) => Effect.Effect<Voice, AudioUndecodable | PreflightFailed | VoiceNotReady | StorageUnavailable>
}>()("scaispeak/VoiceIntake") {
  static readonly layer = Layer.effect(
    VoiceIntake,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const intake = yield* ClipIntake
      const files = yield* ClipFiles
      const objects = yield* ObjectStore
      const pending = yield* PendingBlobs
      const consents = yield* Consents
      const repo = yield* VoiceRepo

      const clone = Effect.fn("VoiceIntake.clone")(function*(
        caller: AuthUser,
        from: Omit<Origin, "userId">,
        given: VoiceClone,
        clips: CloneClips
      ) {
        const examined = yield* intake.examine(clips.reference, {
          file: clips.consent,
          text: given.consentText,
          language: given.languagePrimary
        })
        const voiceId = yield* makeId("vox")
        const { blobs, reference } = referenceOf(voiceId, clips.reference, examined, given.referenceText)
        const audioKey = consentKey(voiceId)
        const written = Effect.gen(function*() {
          const consent = yield* consents.grant({
            tenantId: caller.tenantId,
            voiceId,
            fullName: given.consentFullName.trim(),
            statedPurpose: given.consentStatedPurpose.trim(),
            text: given.consentText,
            audioKey,
            audioSha256: clips.consent.sha256,
            alignment: examined.alignment,
            granted: { ...from, userId: caller.userId }
          })
          const voice = { ...(yield* owned(caller, voiceId, given)), kind: "cloned" as const, reference, consent }
          yield* sql`INSERT INTO voices ${sql.insert(encode(voice))}`
          return voice
        })
        const voice = yield* pending.storing(
          voiceFolder(voiceId),
          [...blobs, blobOf(clips.consent, audioKey, examined.contentTypes.consent!)],
          written
        )
        yield* repo.invalidate(voiceId)
        return voice
      })

      const design = Effect.fn("VoiceIntake.design")(function*(caller: AuthUser, given: VoiceDesign) {
        const voiceId = yield* makeId("vox")
        const designPrompt = given.designPrompt.trim()
        const voice = { ...(yield* owned(caller, voiceId, given)), kind: "designed" as const, designPrompt }
        yield* orUnavailable(sql`INSERT INTO voices ${sql.insert(encode(voice))}`)
        yield* repo.invalidate(voiceId)
        return voice
      })

      /** The stored recording on disk, for as long as the scope is open. */
      const recordingOf = (objectKey: string) =>
        objects.get(objectKey).pipe(
          Effect.flatMap(({ body }) => files.keep("reference", body)),
          Effect.catchTag(
            "ObjectNotFound",
            () => Effect.fail(new VoiceNotReady({ reason: "The voice's stored recording is missing." }))
          )
        )

      const repeat = Effect.fn("VoiceIntake.repeat")(function*(voice: Voice) {
        const refused = notReady(voice)
        if (refused !== undefined) return yield* refused
        const { reference: former, voiceId } = voice
        if (former === null) return voice
        const original = former.original ?? { objectKey: former.objectKey }
        const recording = yield* recordingOf(original.objectKey)
        const examined = yield* Effect.catchTag(
          intake.examine(recording),
          "InvalidRequest",
          // Only a consent is refused so.
          Effect.die
        )
        const { blob, folder, reference } = clipOf(voiceId, examined, former.transcript)
        const after = { ...voice, reference: { ...reference, original } }
        const written = Effect.gen(function*() {
          const { reference_json } = encode(after)
          const rows = yield* affected(sql`UPDATE voices SET reference_json = ${reference_json}
            WHERE voice_id = ${voiceId} AND reference_json = ${encode(voice).reference_json}`)
          // Changed or erased in the meantime.
          if (rows === 0) return yield* new VoiceNotReady({ reason: "The voice was changed at the same time." })
          if (former.original !== undefined) yield* pending.discard(folderOf(former.objectKey), formerClipMillis)
        })
        yield* pending.storing(folder, [blob], written)
        yield* repo.invalidate(voiceId)
        return after
      }, Effect.scoped)

      return VoiceIntake.of({ clone, design, repeat })
    })
  )
}

/** A voice of the caller's own that is ready, but for what it speaks from. */
const owned = (caller: AuthUser, voiceId: VoiceId, given: VoiceMetadata) =>
  Effect.map(DateTime.now, (now) => ({
    ...described(given),
    voiceId,
    scope: "user" as const,
    embeddingStatus: "ready" as const,
    statusReason: null,
    ownerUserId: caller.userId,
    tenantId: caller.tenantId,
    defaults: {},
    preset: null,
    relaySpeaker: null,
    reference: null,
    designPrompt: null,
    consent: null as VoiceConsent | null,
    createdAt: now,
    updatedAt: now
  }))
