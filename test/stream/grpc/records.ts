/** Messages of gRPC in the words of the HTTP API, so that the two can be held against each other. */
import * as wire from "../../../src/proto/scaispeak/v1/speak.ts"

const literal = (names: Record<string, number>, value: number) =>
  Object.keys(names).find((name) => names[name] === value)!.toLowerCase()
const time = (millis: number) => new Date(millis).toISOString()

/** `GET /voices/{voice_id}`. */
export const voiceRecord = (shown: wire.Voice) => ({
  voice_id: shown.voiceId,
  display_name: shown.displayName,
  description: shown.description,
  scope: literal(wire.VoiceScope, shown.scope),
  kind: literal(wire.VoiceKind, shown.kind),
  language_primary: shown.languagePrimary,
  language_supported: shown.languageSupported,
  gender: shown.gender,
  age_hint: shown.ageHint ?? null,
  style_tags: shown.styleTags,
  embedding_status: literal(wire.EmbeddingStatus, shown.embeddingStatus),
  status_reason: shown.statusReason ?? null,
  owner_user_id: shown.ownerUserId ?? null,
  tenant_id: shown.tenantId ?? null,
  defaults: JSON.parse(JSON.stringify({
    instructions: shown.defaults?.instructions,
    speed: shown.defaults?.speed,
    cfg_value: shown.defaults?.cfgValue,
    warmup_trim_ms: shown.defaults?.warmupTrimMs
  })),
  backends: { A: shown.backends.includes(wire.Backend.A), B: shown.backends.includes(wire.Backend.B) },
  relay_speaker: shown.relaySpeaker ?? null,
  reference: shown.reference ? { duration_ms: shown.reference.durationMs, sha256: shown.reference.sha256 } : null,
  consent: shown.consent
    ? {
      consent_id: shown.consent.consentId,
      status: literal(wire.ConsentStatus, shown.consent.status),
      stated_purpose: shown.consent.statedPurpose
    }
    : null,
  license: shown.license
    ? {
      licensor: shown.license.licensor,
      type: literal(wire.LicenseType, shown.license.type),
      expires_at: shown.license.expiresAtMs === undefined ? null : time(shown.license.expiresAtMs),
      character_cap: shown.license.characterCap ?? null,
      characters_used: shown.license.charactersUsed
    }
    : null,
  voice_design_prompt: shown.voiceDesignPrompt ?? null,
  created_at: time(shown.createdAtMs),
  updated_at: time(shown.updatedAtMs)
})

/** `GET /speak/jobs/{job_id}`, but for where and how long the audio is. */
export const jobRecord = (job: wire.Job) => ({
  job_id: job.jobId,
  synthesis_id: job.synthesisId,
  voice_id: job.voiceId,
  status: literal(wire.JobStatus, job.status),
  status_reason: job.statusReason ?? null,
  error_code: job.errorCode ?? null,
  characters: job.characters,
  progress: {
    segments_done: job.segmentsDone,
    segments_total: job.segmentsTotal,
    characters_done: job.charactersDone,
    audio_ms: job.audioMs
  },
  backend_used: job.backendUsed === wire.Backend.A ? "A" : job.backendUsed === wire.Backend.B ? "B" : null,
  attempts: job.attempts,
  created_at: time(job.createdAtMs),
  started_at: job.startedAtMs === undefined ? null : time(job.startedAtMs),
  finished_at: job.finishedAtMs === undefined ? null : time(job.finishedAtMs),
  expires_at: time(job.expiresAtMs),
  audio_uri: job.audioUri ?? null,
  save_to: job.saveTo
    ? {
      status: literal(wire.SaveStatus, job.saveTo.status),
      share_id: job.saveTo.shareId,
      file_id: job.saveTo.fileId ?? null,
      name: job.saveTo.name ?? null,
      reason: job.saveTo.reason ?? null
    }
    : null
})
