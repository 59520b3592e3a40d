/** The voices that are everybody's, as super admins keep them. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { LicenceTerms } from "../../domain/Licence.ts"
import { GlobalVoices } from "../../services/GlobalVoices.ts"
import type { RelayVoice } from "../../services/GlobalVoices.ts"
import { Licences } from "../../services/Licences.ts"
import { VoiceRepo } from "../../services/VoiceRepo.ts"
import { Api } from "../Api.ts"
import { Caller } from "../api/Caller.ts"
import { NewGlobalVoice } from "../api/GlobalVoices.ts"
import type { LicenseChanges } from "../api/GlobalVoices.ts"
import * as Envelope from "../Envelope.ts"
import { formFields } from "../FormFields.ts"
import { named } from "../NamedVoice.ts"
import { onlySuperAdmins } from "../SuperAdmin.ts"
import { detail } from "../VoiceView.ts"

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
    const licences = yield* Licences
    const voices = yield* VoiceRepo

    return handlers.handleAll({
      addGlobalVoice: Effect.fnUntraced(function*({ payload }) {
        yield* onlySuperAdmins
        const form = yield* formFields(NewGlobalVoice, payload)
        const caller = yield* Caller
        const { licence, voice } = yield* globals.add(relayVoice(form), isLicensed(form) ? terms(form) : null)
        caller.resourceId = voice.voiceId
        return yield* Envelope.ok(detail(voice, licence))
      }, Envelope.answerFailures),

      changeGlobalVoice: Effect.fnUntraced(function*({ params, payload }) {
        const id = yield* ofSuperAdmin(params.voice_id)
        const licence = yield* licences.change(id, terms(payload))
        const voice = yield* voices.find((yield* Caller).user, id)
        return yield* Envelope.ok(detail(voice, licence))
      }, Envelope.answerFailures),

      withdrawGlobalVoice: Effect.fnUntraced(function*({ params }) {
        const id = yield* ofSuperAdmin(params.voice_id)
        yield* globals.withdraw(id)
        return yield* Envelope.ok({ voice_id: id, withdrawn: true as const })
      }, Envelope.answerFailures)
    })
  })
)

const relayVoice = (form: typeof NewGlobalVoice.Type): RelayVoice => ({
  relaySpeaker: form.relay_speaker,
  displayName: form.display_name,
  description: form.description,
  languagePrimary: form.language_primary,
  languageSupported: form.language_supported_json ?? [form.language_primary],
  gender: form.gender_hint,
  ageHint: form.age_hint ?? null,
  styleTags: form.style_tags_json
})

const isLicensed = (form: typeof NewGlobalVoice.Type) => Object.keys(terms(form)).length > 0

const terms = (changes: typeof LicenseChanges.Type): Partial<LicenceTerms> => ({
  ...(changes.licensor === undefined ? {} : { licensor: changes.licensor }),
  ...(changes.license_type === undefined ? {} : { type: changes.license_type }),
  ...(changes.license_expires_at === undefined ? {} : { expiresAt: changes.license_expires_at }),
  ...(changes.license_character_cap === undefined ? {} : { characterCap: changes.license_character_cap })
})
