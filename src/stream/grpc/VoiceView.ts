/** A voice as clients see it: the record of `GET /voices`. What it shows, everybody who may read the voice may know. */
import { DateTime } from "effect"
import type { Licence } from "../../domain/Licence.ts"
import { backendsOf } from "../../domain/Voice.ts"
import type { Voice } from "../../domain/Voice.ts"
import * as wire from "../../proto/scaispeak/v1/speak.ts"
import { numberOf } from "./Enums.ts"

export const voiceOf = (voice: Voice, licence: Licence | undefined): wire.Voice => {
  const { A, B } = backendsOf(voice)
  const { cfgValue, instructions, speed, warmupTrimMs } = voice.defaults
  return {
    voiceId: voice.voiceId,
    displayName: voice.displayName,
    description: voice.description,
    scope: numberOf(wire.VoiceScope, voice.scope),
    kind: numberOf(wire.VoiceKind, voice.kind),
    languagePrimary: voice.languagePrimary,
    languageSupported: [...voice.languageSupported],
    gender: voice.gender,
    ageHint: voice.ageHint ?? undefined,
    styleTags: [...voice.styleTags],
    embeddingStatus: numberOf(wire.EmbeddingStatus, voice.embeddingStatus),
    statusReason: voice.statusReason ?? undefined,
    backends: [...(A ? [wire.Backend.A] : []), ...(B ? [wire.Backend.B] : [])],
    ownerUserId: voice.ownerUserId ?? undefined,
    tenantId: voice.tenantId ?? undefined,
    defaults: { instructions, speed, cfgValue, warmupTrimMs },
    relaySpeaker: voice.relaySpeaker ?? undefined,
    // Not the transcript: it holds what a person said.
    reference: voice.reference === null
      ? undefined
      : { durationMs: voice.reference.durationMs, sha256: voice.reference.sha256 },
    consent: consentOf(voice),
    license: licence && licenceOf(licence),
    voiceDesignPrompt: voice.designPrompt ?? undefined,
    createdAtMs: DateTime.toEpochMillis(voice.createdAt),
    updatedAtMs: DateTime.toEpochMillis(voice.updatedAt)
  }
}

const consentOf = ({ consent }: Voice): wire.VoiceConsent | undefined =>
  consent === null ? undefined : {
    consentId: consent.consentId,
    status: numberOf(wire.ConsentStatus, consent.status),
    statedPurpose: consent.statedPurpose
  }

const licenceOf = ({ characterCap, charactersUsed, expiresAt, licensor, type }: Licence): wire.VoiceLicense => ({
  licensor,
  type: numberOf(wire.LicenseType, type),
  expiresAtMs: expiresAt === null ? undefined : DateTime.toEpochMillis(expiresAt),
  characterCap: characterCap ?? undefined,
  charactersUsed
})
