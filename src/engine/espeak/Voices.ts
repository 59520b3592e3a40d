/** Which of espeak's voices are presets: one for each language, regions that sound clearly different, and variants of English. */
import type { Preset } from "../Engine.ts"
import type { ListedVoice } from "./EspeakModule.ts"

export interface EspeakVoice extends Preset {
  /** What `set_voice` takes. */
  readonly identifier: string
}

/** Language tags of espeak beside the best voice of each language. */
const regions = ["en-us", "en-gb-scotland", "en-gb-x-rp", "en-029", "es-419", "fr-be", "fr-ch", "pt-br", "yue"]

/** Variants change the speaker of any voice. */
const variants: ReadonlyArray<{ readonly variant: string; readonly gender: "female" | "male"; readonly says: string }> =
  [
    { variant: "f2", gender: "female", says: "woman" },
    { variant: "f4", gender: "female", says: "older woman" },
    { variant: "m3", gender: "male", says: "man" },
    { variant: "whisper", gender: "male", says: "whisper" }
  ]
const variantsOf = ["en", "en-us"]

const description = "Formant synthesis: plainly synthetic, quick and clear"
const styleTags = ["robotic"]

/** In order of their names, which are language tags such as `de`, `en-us` or `en-us+f2`. */
export const voicesOf = (listed: ReadonlyArray<ListedVoice>): ReadonlyArray<EspeakVoice> => {
  const languages = new Map<ListedVoice, Array<string>>()
  for (const code of new Set(listed.flatMap(codesOf))) {
    const best = listed.filter((voice) => codesOf(voice).includes(code))
      .sort((a, b) => priority(a, code) - priority(b, code))[0]!
    languages.set(best, [...(languages.get(best) ?? []), code])
  }
  const plain = [...languages].map(([voice, codes]) => presetOf(voice, codes[0]!, codes))
  const regional = regions.flatMap((tag) =>
    listed.filter(({ languages }) => languages[0]?.name === tag)
      .map((voice) => presetOf(voice, tag, codesOf(voice).length > 0 ? codesOf(voice) : [tag.slice(0, 2)]))
  )
  const voices = [...plain, ...regional]
  return [
    ...voices,
    ...voices.filter(({ name }) => variantsOf.includes(name)).flatMap((voice) =>
      variants.map(({ gender, says, variant }) => ({
        ...voice,
        name: `${voice.name}+${variant}`,
        displayName: `${voice.displayName}, ${says}`,
        gender,
        identifier: `${voice.identifier}+${variant}`
      }))
    )
  ].sort((a, b) => (a.name < b.name ? -1 : 1))
}

const presetOf = (voice: ListedVoice, name: string, languages: ReadonlyArray<string>): EspeakVoice => ({
  name,
  displayName: voice.name.trim(),
  description,
  languages,
  gender: "unspecified",
  styleTags,
  identifier: voice.identifier
})

const languageNames = new Intl.DisplayNames("en", { type: "language", fallback: "none" })

/** ISO 639-1; artificial and minor languages have none. */
const codesOf = ({ languages }: ListedVoice): ReadonlyArray<string> =>
  languages.map(({ name }) => name).filter((name) => /^[a-z]{2}$/u.test(name) && languageNames.of(name) !== undefined)

const priority = ({ languages }: ListedVoice, code: string): number =>
  languages.find(({ name }) => name === code)?.priority ?? Infinity
