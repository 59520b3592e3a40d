/**
 * The licence that a global voice is used under: until when, and for how many characters. The wire spells it `license`.
 *
 * Whether a voice may speak is decided here, from the licence, the time and the text's length; who counts is elsewhere.
 */
import { DateTime, Result, Schema } from "effect"
import { InvalidRequest, VoiceLicenseExhausted, VoiceLicenseExpired } from "./Failure.ts"
import type { Detail } from "./Failure.ts"
import { LicenceId } from "./Ids.ts"

export const LicenceType = Schema.Literals(["perpetual", "time_bound", "usage_bound"])

/** Characters: code points. */
export const CharacterCap = Schema.Natural.check(Schema.isGreaterThanOrEqualTo(1))

export const Licensor = Schema.NonEmptyString.check(Schema.isMaxLength(200))

export const Licence = Schema.Struct({
  licenseId: LicenceId,
  licensor: Licensor,
  type: LicenceType,
  /** The first moment at which no new call may begin. Null: it does not end. */
  expiresAt: Schema.NullOr(Schema.DateTimeUtcFromString),
  /** Null unless usage-bound. */
  characterCap: Schema.NullOr(CharacterCap),
  /** Of the cap; those of running calls are among them. Stays as it is while the licence is not usage-bound. */
  charactersUsed: Schema.Natural,
  /** Where the signed document lies in the object store. */
  documentKey: Schema.NullOr(Schema.NonEmptyString)
})
export type Licence = typeof Licence.Type

/** What was agreed. */
export type LicenceTerms = Pick<Licence, "licensor" | "type" | "expiresAt" | "characterCap">

/** The failure to answer with, or `undefined` when `characters` more may be spoken under the licence at `nowMillis`. */
export const mayUse = (
  voiceId: string,
  licence: Pick<Licence, "expiresAt" | "characterCap" | "charactersUsed">,
  nowMillis: number,
  characters: number
): VoiceLicenseExpired | VoiceLicenseExhausted | undefined => {
  if (hasExpired(licence, nowMillis)) return new VoiceLicenseExpired({ voiceId })
  return licence.characterCap !== null && licence.charactersUsed + characters > licence.characterCap
    ? new VoiceLicenseExhausted({ voiceId, characters })
    : undefined
}

export const hasExpired = ({ expiresAt }: Pick<Licence, "expiresAt">, nowMillis: number): boolean =>
  expiresAt !== null && nowMillis >= DateTime.toEpochMillis(expiresAt)

/**
 * The terms after a change, or what they lack. A licence that changes its type begins without the old one's bounds.
 * A time-bound licence has an end and no cap; a usage-bound one has a cap and may also end; a perpetual one has neither.
 */
export const changed = (
  current: LicenceTerms | null,
  change: Partial<LicenceTerms>
): Result.Result<LicenceTerms, InvalidRequest> => {
  const licensor = change.licensor ?? current?.licensor
  const type = change.type ?? current?.type
  if (licensor === undefined || type === undefined) {
    return invalid([
      ...(licensor === undefined ? [needed("licensor", "the voice has no licence yet")] : []),
      ...(type === undefined ? [needed("license_type", "the voice has no licence yet")] : [])
    ])
  }
  const kept = current?.type === type ? current : { expiresAt: null, characterCap: null }
  const terms: LicenceTerms = {
    licensor,
    type,
    expiresAt: change.expiresAt === undefined ? kept.expiresAt : change.expiresAt,
    characterCap: change.characterCap === undefined ? kept.characterCap : change.characterCap
  }
  const unfit = [
    ...fit("license_expires_at", terms.expiresAt !== null, type, { perpetual: "never", time_bound: "always" }),
    ...fit("license_character_cap", terms.characterCap !== null, type, {
      perpetual: "never",
      time_bound: "never",
      usage_bound: "always"
    })
  ]
  return unfit.length === 0 ? Result.succeed(terms) : invalid(unfit)
}

const fit = (
  field: string,
  given: boolean,
  type: typeof LicenceType.Type,
  rules: Partial<Record<typeof LicenceType.Type, "always" | "never">>
): ReadonlyArray<Detail> => {
  if (rules[type] === "always" && !given) return [needed(field, `the licence is ${type}`)]
  if (rules[type] === "never" && given) return [{ field, message: `must be absent: the licence is ${type}` }]
  return []
}

const needed = (field: string, why: string): Detail => ({ field, message: `is required: ${why}` })

const invalid = (details: ReadonlyArray<Detail>) => Result.fail(new InvalidRequest({ details }))
