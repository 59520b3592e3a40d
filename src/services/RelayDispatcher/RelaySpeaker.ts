/**
 * A preset speaker of the relay, made fit for the library: a name is never empty, languages are ISO 639-1, and texts have
 * a length, whatever the relay wrote.
 */
import { Gender } from "../../domain/Voice.ts"

export interface RelaySpeaker {
  /** What the relay calls the speaker in a request. */
  readonly speaker: string
  readonly displayName: string
  readonly description: string
  readonly gender: typeof Gender.Type
  /** ISO 639-1, the primary one first; empty when the relay does not say. */
  readonly languages: ReadonlyArray<string>
  readonly styleTags: ReadonlyArray<string>
}

const nameCharactersMax = 200
const descriptionCharactersMax = 1000
const styleTagsMax = 16

/** `facts` are the relay's own words and may be of any type. */
export const relaySpeaker = (
  speaker: string,
  facts: {
    readonly displayName?: unknown
    readonly description?: unknown
    readonly gender?: unknown
    readonly languages?: ReadonlyArray<unknown>
    readonly styleTags?: ReadonlyArray<unknown>
  } = {}
): RelaySpeaker => ({
  speaker,
  displayName: text(facts.displayName, nameCharactersMax) || speaker.slice(0, nameCharactersMax),
  description: text(facts.description, descriptionCharactersMax) || "Preset speaker of the managed relay.",
  gender: genders.get(text(facts.gender, nameCharactersMax).toLowerCase()) ?? "unspecified",
  languages: distinct((facts.languages ?? []).map(language)),
  styleTags: distinct((facts.styleTags ?? []).map((tag) => text(tag, nameCharactersMax).toLowerCase()))
    .slice(0, styleTagsMax)
})

const genders = new Map(Gender.literals.map((gender) => [gender as string, gender]))

const text = (value: unknown, charactersMax: number): string =>
  typeof value === "string" ? value.trim().slice(0, charactersMax) : ""

/** `en`, `en-US` and `en_us` are `en`; names of languages are not read. */
const language = (value: unknown): string =>
  /^([a-z]{2})(?:[-_]|$)/u.exec(text(value, nameCharactersMax).toLowerCase())?.[1] ?? ""

const distinct = (values: ReadonlyArray<string>): ReadonlyArray<string> => [...new Set(values)].filter((v) => v !== "")
