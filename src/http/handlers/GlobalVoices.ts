/** The voices that are everybody's, as super admins keep them. */
import { Effect, Stream } from "effect"
import type { Multipart } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { LicenceDocumentNotFound } from "../../domain/Failure.ts"
import type { Detail } from "../../domain/Failure.ts"
import type { LicenceTerms } from "../../domain/Licence.ts"
import { described } from "../../domain/VoiceMetadata.ts"
import { GlobalVoices } from "../../services/GlobalVoices.ts"
import { ObjectStore } from "../../services/ObjectStore.ts"
import { VoiceRepo } from "../../services/VoiceRepo.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import type { LicenseChanges } from "../api/GlobalVoices.ts"
import { GlobalVoiceForm, LicenseForm, metadataOf } from "../api/VoiceForms.ts"
import * as Envelope from "../Envelope.ts"
import { decodeFields } from "../FormFields.ts"
import { named } from "../NamedVoice.ts"
import { storedFile } from "../StoredFile.ts"
import { onlySuperAdmins } from "../SuperAdmin.ts"
import { endRefused, Uploads } from "../Uploads.ts"
import type { Received } from "../Uploads.ts"
import { record } from "../VoiceView.ts"

/** The voice that a super admin names; nobody else learns whether there is one. */
const ofSuperAdmin = Effect.fnUntraced(function*(id: string) {
  const caller = yield* Caller
  caller.resourceId = id
  yield* onlySuperAdmins
  return (yield* named({ voice_id: id })).id
})

export const layer = HttpApiBuilder.group(
  Api,
  "globalVoices",
  Effect.fnUntraced(function*(handlers) {
    const globals = yield* GlobalVoices
    const voices = yield* VoiceRepo
    const objects = yield* ObjectStore
    const uploads = yield* Uploads

    const licenceForm = Effect.fnUntraced(function*(parts: Stream.Stream<Multipart.Part, Multipart.MultipartError>) {
      const { fields, files } = yield* uploads.receive(parts, {
        files: ["license_document"],
        fields: Object.keys(LicenseForm.fields)
      })
      return {
        changes: yield* decodeFields(LicenseForm, fields, unsigned(files)),
        document: files["license_document"]
      }
    })

    return handlers.handleAll({
      addGlobalVoice: Effect.fnUntraced(
        function*({ payload }) {
          yield* onlySuperAdmins
          const { fields, files } = yield* uploads.receive(payload, {
            files: ["reference", "license_document"],
            fields: Object.keys(GlobalVoiceForm.fields)
          })
          const form = yield* decodeFields(GlobalVoiceForm, fields, [
            ...(files["reference"] === undefined && fields["relay_speaker"] === undefined
              ? [{ field: "reference", message: "is missing: a recording of the voice, or a relay_speaker" }]
              : []),
            ...unsigned(files)
          ])
          const caller = yield* Caller
          const { licence, voice } = yield* globals.add(
            { ...described(metadataOf(form)), relaySpeaker: form.relay_speaker ?? null },
            isLicensed(form) ? terms(form) : null,
            {
              reference: files["reference"],
              referenceText: form.reference_text,
              document: files["license_document"]
            }
          )
          caller.resourceId = voice.voiceId
          return yield* Envelope.ok(record(voice, licence))
        },
        Effect.scoped,
        Envelope.answerFailures,
        endRefused
      ),

      changeGlobalVoice: Effect.fnUntraced(
        function*({ params, payload }) {
          const id = yield* ofSuperAdmin(params.voice_id)
          const { changes, document } = Stream.isStream(payload)
            ? yield* licenceForm(payload)
            : { changes: payload, document: undefined }
          const licence = yield* globals.license(id, terms(changes), document)
          const voice = yield* voices.find((yield* Caller).user, id)
          return yield* Envelope.ok(record(voice, licence))
        },
        Effect.scoped,
        Envelope.answerFailures,
        endRefused
      ),

      licenseDocument: Effect.fnUntraced(
        function*({ headers, params }) {
          const id = yield* ofSuperAdmin(params.voice_id)
          return yield* storedFile(objects, yield* globals.documentKey(id), headers, {
            "content-disposition": "attachment; filename=\"licence\""
          })
        },
        Effect.catchTag("ObjectNotFound", () => new LicenceDocumentNotFound()),
        Envelope.answerFailures
      )
    })
  })
)

/** A document that says nothing is none. */
const unsigned = ({ license_document: document }: Received["files"]): ReadonlyArray<Detail> =>
  document?.bytes === 0 ? [{ field: "license_document", message: "is empty" }] : []

const isLicensed = (form: typeof GlobalVoiceForm.Type) => Object.keys(terms(form)).length > 0

const terms = (changes: typeof LicenseChanges.Type): Partial<LicenceTerms> => ({
  ...(changes.licensor === undefined ? {} : { licensor: changes.licensor }),
  ...(changes.license_type === undefined ? {} : { type: changes.license_type }),
  ...(changes.license_expires_at === undefined ? {} : { expiresAt: changes.license_expires_at }),
  ...(changes.license_character_cap === undefined ? {} : { characterCap: changes.license_character_cap })
})
