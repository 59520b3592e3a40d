/** A licence in its wire form. */
import type { Licence } from "../../domain/Licence.ts"

export const license = (licence: Licence | null) =>
  licence && {
    licensor: licence.licensor,
    type: licence.type,
    expires_at: licence.expiresAt,
    character_cap: licence.characterCap,
    characters_used: licence.charactersUsed
  }
