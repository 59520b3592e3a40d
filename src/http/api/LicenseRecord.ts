/** The licence of a global voice as clients see it. */
import { Schema } from "effect"
import { LicenceType } from "../../domain/Licence.ts"

export const LicenseRecord = Schema.Struct({
  licensor: Schema.String,
  type: LicenceType,
  expires_at: Schema.NullOr(Schema.DateTimeUtcFromString).annotate({ description: "From then on no call begins." }),
  character_cap: Schema.NullOr(Schema.Natural),
  characters_used: Schema.Natural.annotate({ description: "Of the cap, with those of running calls." })
}).annotate({ identifier: "License" })
