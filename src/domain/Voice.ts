/** A voice of the library: who it belongs to, who can see it, and whether it can speak. */
import { Schema } from "effect"
import { VoiceNotReady } from "./Failure.ts"
import { ConsentId, TenantId, UserId, VoiceId } from "./Ids.ts"
import type { AuthUser } from "./Permission.ts"
import { Speed } from "./SpeechParams.ts"

/** ISO 639-1. */
export const Language = Schema.String.check(Schema.isPattern(/^[a-z]{2}$/u))

export const VoiceScope = Schema.Literals(["global", "tenant", "user"])
export const VoiceKind = Schema.Literals(["preset", "cloned", "designed"])
export const Gender = Schema.Literals(["female", "male", "neutral", "unspecified"])
export const EmbeddingStatus = Schema.Literals(["pending", "processing", "ready", "failed", "evicted"])

/** What a voice sets for every call in it; a request may say otherwise. */
export const VoiceDefaults = Schema.Struct({
  instructions: Schema.optionalKey(Schema.String),
  speed: Schema.optionalKey(Speed),
  cfgValue: Schema.optionalKey(Schema.Finite),
  warmupTrimMs: Schema.optionalKey(Schema.Natural)
}).pipe(Schema.encodeKeys({ cfgValue: "cfg_value", warmupTrimMs: "warmup_trim_ms" }))

/** The clip that a cloned voice follows. */
export const VoiceReference = Schema.Struct({
  /** Of the stored clip, lower-case hex. */
  sha256: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u)),
  durationMs: Schema.Natural,
  /** Where the clip lies in the object store. */
  objectKey: Schema.NonEmptyString,
  /** What the speaker says in it, if known. */
  transcript: Schema.NullOr(Schema.String),
  /** The recording that the clip was made from, as it came; absent when the clip is the recording. */
  original: Schema.optionalKey(
    Schema.Struct({ objectKey: Schema.NonEmptyString }).pipe(Schema.encodeKeys({ objectKey: "object_key" }))
  )
}).pipe(Schema.encodeKeys({ durationMs: "duration_ms", objectKey: "object_key" }))
export type VoiceReference = typeof VoiceReference.Type

export const ConsentStatus = Schema.Literals(["active", "revoked"])

/** What a cloned voice says of the consent that it stands on; the ledger has the rest. */
export const VoiceConsent = Schema.Struct({
  consentId: ConsentId,
  status: ConsentStatus,
  statedPurpose: Schema.String
}).pipe(Schema.encodeKeys({ consentId: "consent_id", statedPurpose: "stated_purpose" }))
export type VoiceConsent = typeof VoiceConsent.Type

export const Voice = Schema.Struct({
  voiceId: VoiceId,
  displayName: Schema.NonEmptyString,
  description: Schema.String,
  scope: VoiceScope,
  kind: VoiceKind,
  languagePrimary: Language,
  languageSupported: Schema.Array(Language),
  gender: Gender,
  ageHint: Schema.NullOr(Schema.String),
  styleTags: Schema.Array(Schema.String),
  embeddingStatus: EmbeddingStatus,
  statusReason: Schema.NullOr(Schema.String),
  /** Null for global voices. */
  ownerUserId: Schema.NullOr(UserId),
  /** Null for global voices. */
  tenantId: Schema.NullOr(TenantId),
  defaults: VoiceDefaults,
  /** Engine kind and speaker on backend A, for presets. */
  preset: Schema.NullOr(Schema.Struct({ engine: Schema.String, name: Schema.String })),
  /** Who speaks for this voice on backend B, if anyone. */
  relaySpeaker: Schema.NullOr(Schema.String),
  /** Of a cloned voice. */
  reference: Schema.NullOr(VoiceReference),
  /** Of a designed voice: the words that it was made from. */
  designPrompt: Schema.NullOr(Schema.String),
  /** Of a cloned voice. */
  consent: Schema.NullOr(VoiceConsent),
  createdAt: Schema.DateTimeUtcFromString,
  updatedAt: Schema.DateTimeUtcFromString
})
export type Voice = typeof Voice.Type

/** Whether a backend knows this voice at all, regardless of its state now. */
export const backendsOf = (voice: Pick<Voice, "preset" | "reference" | "designPrompt" | "relaySpeaker">) => ({
  A: voice.preset !== null || voice.reference !== null || voice.designPrompt !== null,
  B: voice.relaySpeaker !== null
})

/**
 * Whether A and B speak this voice with one speaker, so that one can go on where the other broke: a preset that has the
 * same name at both, as when both serve the same model. Others may stand in for each other only before anything is heard.
 */
export const isSameSpeaker = (voice: Pick<Voice, "preset" | "relaySpeaker">): boolean =>
  voice.preset !== null && voice.preset.name === voice.relaySpeaker

/** Global voices are everybody's; tenant voices the tenant's; user voices their owner's. */
export const isVisibleTo = (
  voice: Pick<Voice, "scope" | "tenantId" | "ownerUserId">,
  caller: Pick<AuthUser, "tenantId" | "userId">
): boolean =>
  voice.scope === "global" ||
  (voice.tenantId === caller.tenantId && (voice.scope === "tenant" || voice.ownerUserId === caller.userId))

/** Shown to whoever calls a voice whose consent was taken back. */
export const consentRevoked = "consent revoked"

/**
 * The failure to answer with when the voice cannot speak now. Revoked consent is a fact of its own beside the state of the
 * embedding, so that nothing that makes a voice ready again gives it back its consent.
 */
export const notReady = (
  voice: Pick<Voice, "embeddingStatus" | "statusReason" | "consent">
): VoiceNotReady | undefined => {
  if (voice.consent?.status === "revoked") return new VoiceNotReady({ reason: consentRevoked })
  return voice.embeddingStatus === "ready"
    ? undefined
    : new VoiceNotReady({ reason: voice.statusReason ?? `The voice is ${voice.embeddingStatus}.` })
}
