/** Identifiers: a prefix that names the kind, then lower-case letters and digits that sort by time of creation. */
import { Schema } from "effect"

const prefixed = (prefix: string) =>
  Schema.String.check(Schema.isPattern(new RegExp(`^${prefix}_[a-z0-9][a-z0-9_-]{1,59}$`, "u")))

/** Preset voices carry a readable id made of engine and speaker, such as `vox_flite_awb`; others are time-ordered. */
export const VoiceId = prefixed("vox").pipe(Schema.brand("VoiceId"))
export type VoiceId = typeof VoiceId.Type

export const SynthesisId = prefixed("syn").pipe(Schema.brand("SynthesisId"))
export type SynthesisId = typeof SynthesisId.Type

/** A live session, over any transport. */
export const SessionId = prefixed("ses").pipe(Schema.brand("SessionId"))
export type SessionId = typeof SessionId.Type

export const ApiKeyId = prefixed("key").pipe(Schema.brand("ApiKeyId"))
export type ApiKeyId = typeof ApiKeyId.Type

export const AuditId = prefixed("aud").pipe(Schema.brand("AuditId"))
export type AuditId = typeof AuditId.Type

export const ConsentId = prefixed("cns").pipe(Schema.brand("ConsentId"))
export type ConsentId = typeof ConsentId.Type

export const ErasureId = prefixed("ers").pipe(Schema.brand("ErasureId"))
export type ErasureId = typeof ErasureId.Type

export const JobId = prefixed("job").pipe(Schema.brand("JobId"))
export type JobId = typeof JobId.Type

export const RecordingId = prefixed("rec").pipe(Schema.brand("RecordingId"))
export type RecordingId = typeof RecordingId.Type

export const LicenceId = prefixed("lic").pipe(Schema.brand("LicenceId"))
export type LicenceId = typeof LicenceId.Type

/** Echoed on every reply, in every log line and span: at most 128 visible ASCII characters. */
export const RequestId = Schema.String.check(Schema.isPattern(/^[\x21-\x7e]{1,128}$/u)).pipe(Schema.brand("RequestId"))
export type RequestId = typeof RequestId.Type

/** Tenants, users and partners are named by the identity provider: opaque, at most 128 characters. */
export const TenantId = Schema.NonEmptyString.check(Schema.isMaxLength(128)).pipe(Schema.brand("TenantId"))
export type TenantId = typeof TenantId.Type

export const UserId = Schema.NonEmptyString.check(Schema.isMaxLength(128)).pipe(Schema.brand("UserId"))
export type UserId = typeof UserId.Type

export const PartnerId = Schema.NonEmptyString.check(Schema.isMaxLength(128)).pipe(Schema.brand("PartnerId"))
export type PartnerId = typeof PartnerId.Type
