/**
 * New identifiers: a prefix that names the kind, then a ULID in lower case, so that ids of a kind sort by creation.
 *
 * Ids made by one process never go backwards. They are names, never secrets: the next one can be guessed.
 */
import { Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import type {
  ApiKeyId,
  AuditId,
  ConsentId,
  ErasureId,
  JobId,
  LicenceId,
  RecordingId,
  RequestId,
  SessionId,
  SynthesisId,
  VoiceId
} from "../domain/Ids.ts"

/** What the prefixes in use make. */
export interface Kinds {
  readonly vox: VoiceId
  readonly syn: SynthesisId
  readonly ses: SessionId
  readonly key: ApiKeyId
  readonly aud: AuditId
  readonly job: JobId
  readonly lic: LicenceId
  readonly cns: ConsentId
  readonly ers: ErasureId
  readonly rec: RecordingId
  readonly req: RequestId
}

/** One for the process, so that its ids are ordered among themselves. */
const random = SecureRandom.make(SecureRandom.randomBytesUnsafe)

export const makeId = <P extends keyof Kinds>(prefix: P): Effect.Effect<Kinds[P]> =>
  Effect.map(random.ulid, (ulid) => `${prefix}_${ulid.toLowerCase()}` as Kinds[P])

/** Crockford's base 32, as ULIDs use it: no i, l, o, u. */
const digits = "0123456789abcdefghjkmnpqrstvwxyz"

/** Characters of a ULID that hold the time; the other 16 are random. */
const timeCharacters = 10

/**
 * Epoch ms at which a time-ordered id was made, or `undefined` for an id that carries no time, such as a preset voice's.
 *
 * Rows that are stored by date take their date from here, so that an id alone says where its row lies.
 */
export const millisOf = (id: string): number | undefined => {
  const ulid = id.slice(id.indexOf("_") + 1)
  if (!/^[0-7][0-9a-hjkmnp-tv-z]{25}$/u.test(ulid)) return undefined
  let millis = 0
  for (const character of ulid.slice(0, timeCharacters)) millis = millis * 32 + digits.indexOf(character)
  return millis
}

/** The UTC day, `YYYY-MM-DD`, of an epoch time in ms: how date columns are written in every database. */
export const dayOf = (millis: number): string => new Date(millis).toISOString().slice(0, 10)
