/** Which columns of a voice's row a change writes: those of the fields that it names, what searches compare, and its time. */
import type { Voice } from "../../domain/Voice.ts"
import type { VoiceChange } from "../../domain/VoicePatch.ts"
import { nameColumns, textColumns } from "./SearchBits.ts"
import { encode } from "./VoiceRow.ts"

export type StoredChange = VoiceChange & Partial<Pick<Voice, "scope">>

type Column = keyof ReturnType<typeof encode>

const searched = ["search_text", ...textColumns] as const

const columnsOf: Record<keyof StoredChange, ReadonlyArray<Column>> = {
  displayName: ["display_name", "search_name", ...nameColumns, ...searched],
  description: ["description", ...searched],
  gender: ["gender"],
  ageHint: ["age_hint"],
  styleTags: ["style_tags", ...searched],
  languageSupported: ["language_supported", "search_languages"],
  defaults: ["defaults_json"],
  scope: ["scope"]
}

/** `after`: the voice with the change in it. */
export const changedColumns = (after: Voice, change: StoredChange): Record<string, unknown> => {
  const row = encode(after)
  const fields = Object.keys(change) as ReadonlyArray<keyof StoredChange>
  const names = new Set(["updated_at" as const, ...fields.flatMap((field) => columnsOf[field])])
  return Object.fromEntries([...names].map((name) => [name, row[name]]))
}
