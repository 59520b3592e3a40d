/**
 * What the name of a Kokoro speaker says: `bf_emma` is a British woman called Emma. The first letter is the language and
 * the second the gender (hexgrad/Kokoro-82M, VOICES.md).
 */
interface KokoroFacts {
  readonly displayName: string
  readonly gender: string
  readonly languages: ReadonlyArray<string>
  readonly styleTags: ReadonlyArray<string>
}

/** ISO 639-1, and what else the letter says. */
const languages: Record<string, readonly [language: string, ...styleTags: ReadonlyArray<string>]> = {
  a: ["en", "american"],
  b: ["en", "british"],
  e: ["es"],
  f: ["fr"],
  h: ["hi"],
  i: ["it"],
  j: ["ja"],
  p: ["pt", "brazilian"],
  z: ["zh"]
}

/** Undefined for names of another make, blends (`af_sky+af_bella`) among them. */
export const kokoroFacts = (name: string): KokoroFacts | undefined => {
  const [, letter, gender, given] = /^([abefhijpz])([fm])_([a-z]+)$/u.exec(name) ?? []
  if (letter === undefined || gender === undefined || given === undefined) return undefined
  const [language, ...styleTags] = languages[letter]!
  return {
    displayName: given[0]!.toUpperCase() + given.slice(1),
    gender: gender === "f" ? "female" : "male",
    languages: [language],
    styleTags
  }
}
