/**
 * Consent to the cloning of a voice, and the chain that makes tampering with it show.
 *
 * A tenant's chain is a row of events numbered from 1. Each carries a hash over itself and the hash before it, so that
 * nothing can be changed, left out or put elsewhere without every later hash being wrong. Events hold no personal data:
 * only a salted hash of what the consent says, which means nothing once salt and details are erased.
 */
import { Schema } from "effect"
import type { ConsentAlignment } from "./ConsentAlignment.ts"
import type { ConsentId, TenantId, UserId, VoiceId } from "./Ids.ts"
import type { ConsentStatus } from "./Voice.ts"

/** Lower-case hex. */
export const Sha256 = Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u))

/** Who did it, when they did it, and from where. */
export interface Origin {
  readonly userId: UserId
  readonly requestId: string
  /** As text; null when unknown. */
  readonly ip: string | null
  /** As the client names itself; null when it does not. */
  readonly userAgent: string | null
}

/** What is private of a consent: erased with the person. */
export interface ConsentDetails {
  readonly fullName: string
  readonly statedPurpose: string
  /** Exactly as it was agreed to. */
  readonly text: string
  /** Of the text as UTF-8. */
  readonly textSha256: string
  /** Where the spoken consent lies in the object store. */
  readonly audioKey: string
  readonly audioSha256: string
  /** How well the audio fits the text, as it was measured; null where nobody could say. The chain's hashes leave it out. */
  readonly alignment: ConsentAlignment | null
  readonly granted: Origin
}

/** What the ledger tells of a consent. Times are epoch ms. */
export interface Consent {
  readonly consentId: ConsentId
  readonly tenantId: TenantId
  readonly voiceId: VoiceId
  readonly status: typeof ConsentStatus.Type
  readonly grantedAt: number
  readonly revokedAt: number | null
  readonly erasedAt: number | null
  /** Null once erased. */
  readonly details: ConsentDetails | null
}

export const ConsentEventKind = Schema.Literals(["granted", "revoked", "erased"])

export interface ConsentEvent {
  readonly tenantId: string
  /** From 1, without a gap. */
  readonly seq: number
  readonly event: typeof ConsentEventKind.Type
  readonly consentId: string
  readonly voiceId: string
  /** Epoch ms. */
  readonly at: number
  /** Salted hash of what the event says of persons; empty for an erasure, which says nothing. */
  readonly detailsSha256: string
  /** {@link chainStart} for the first. */
  readonly previousHash: string
}

export const chainStart = "0".repeat(64)

/** What an event's hash is taken over: a JSON array, in which no field can run into the next. */
export const canonicalEvent = (event: ConsentEvent): string =>
  JSON.stringify([
    "scaispeak consent 1",
    event.tenantId,
    event.seq,
    event.event,
    event.consentId,
    event.voiceId,
    event.at,
    event.detailsSha256,
    event.previousHash
  ])

/** What the hash of a grant's details is taken over. `salt`: random, and nowhere but beside the details. */
export const canonicalGrant = (salt: string, consentId: string, details: ConsentDetails): string =>
  JSON.stringify([
    "scaispeak consent grant 1",
    salt,
    consentId,
    details.fullName,
    details.statedPurpose,
    details.text,
    details.textSha256,
    details.audioKey,
    details.audioSha256,
    ...origin(details.granted)
  ])

export const canonicalRevocation = (salt: string, consentId: string, revoked: Origin): string =>
  JSON.stringify(["scaispeak consent revocation 1", salt, consentId, ...origin(revoked)])

/** Last in its array, so that nothing can be taken for what is left out. */
const origin = ({ ip, requestId, userAgent, userId }: Origin) => [
  userId,
  requestId,
  ip,
  ...(userAgent === null ? [] : [userAgent])
]

/** An event as it is stored, with its hash and, unless erased, what its details hash to now. */
export interface StoredEvent extends ConsentEvent {
  readonly hash: string
  /** Undefined when the details are not there. */
  readonly detailsNow: string | undefined
}

/** Where the chain got to: the last event's number and hash. */
export interface ChainHead {
  readonly seq: number
  readonly hash: string
}

/** Why the chain does not hold at `event`, which should come after `before`; undefined when it does. */
export const breakAt = (
  before: ChainHead,
  event: StoredEvent,
  sha256: (text: string) => string
): string | undefined => {
  if (event.seq !== before.seq + 1) return "an event is missing before this one"
  if (event.previousHash !== before.hash) return "it does not follow on the event before"
  if (event.hash !== sha256(canonicalEvent(event))) return "it was changed"
  if (event.detailsNow !== undefined && event.detailsNow !== event.detailsSha256) return "its details were changed"
  return undefined
}
