/** A voice as clients see it. What it shows, everybody who may read the voice may know. */
import type { Licence } from "../domain/Licence.ts"
import { backendsOf } from "../domain/Voice.ts"
import type { Voice } from "../domain/Voice.ts"

export const record = (voice: Voice, licence: Licence | null) => ({
  voice_id: voice.voiceId,
  display_name: voice.displayName,
  description: voice.description,
  scope: voice.scope,
  kind: voice.kind,
  language_primary: voice.languagePrimary,
  language_supported: voice.languageSupported,
  gender: voice.gender,
  age_hint: voice.ageHint,
  style_tags: voice.styleTags,
  embedding_status: voice.embeddingStatus,
  status_reason: voice.statusReason,
  owner_user_id: voice.ownerUserId,
  tenant_id: voice.tenantId,
  defaults: voice.defaults,
  backends: backendsOf(voice),
  relay_speaker: voice.relaySpeaker,
  // Not the transcript: it holds what a person said.
  reference: voice.reference && { duration_ms: voice.reference.durationMs, sha256: voice.reference.sha256 },
  consent: voice.consent,
  license: licence && {
    licensor: licence.licensor,
    type: licence.type,
    expires_at: licence.expiresAt,
    character_cap: licence.characterCap,
    characters_used: licence.charactersUsed
  },
  voice_design_prompt: voice.designPrompt,
  created_at: voice.createdAt,
  updated_at: voice.updatedAt
})
