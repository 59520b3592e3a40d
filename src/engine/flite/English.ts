/**
 * Says what an English voice cannot speak, before anything is made: another language, another script, nothing at all.
 *
 * Guesses about Latin text are careful: a foreign sentence spoken in English is odd, an English one refused is broken.
 */
import { InvalidRequest } from "../../domain/Failure.ts"
import { decompose, isSpeakable, spell } from "./Spelling.ts"

/** Why the text cannot be spoken, as the field it is about and a message for the caller; `undefined` when it can. */
export const refusal = async (text: string, language: string): Promise<InvalidRequest | undefined> => {
  if (!/^(?:en(?:[-_].*)?)?$/iu.test(language)) {
    return InvalidRequest.field("language", `this engine speaks English (en), not ${languageName(language)}`)
  }
  const script = foreignScript(text)
  if (script !== undefined) return InvalidRequest.field("text", `this engine speaks English and cannot read ${script}`)
  if (!hasWord(text)) {
    return InvalidRequest.field("text", "has nothing to say: no letter, digit or symbol with a name")
  }
  const other = await otherLanguage(text)
  if (other !== undefined) {
    return InvalidRequest.field("text", `this engine speaks English and the text looks like ${languageName(other)}`)
  }
  return undefined
}

/** Looks at the beginning first: nearly every text has its first word there. */
const hasWord = (text: string): boolean => spell(text.slice(0, 100)).length > 0 || spell(text).length > 0

/** Code units that are looked at to tell the language. */
const sampleLength = 2000
/** Fewer words may be a name, a title or a quotation. */
const wordsMin = 6
/** Half or more capitalised words look like a list of names. */
const lowercaseShareMin = 0.5
/** English prose has some 0.3 of these words; other languages share nearly none of them. */
const functionWordShareMin = 0.08
/** How far eld's best score must lie above its score for English. */
const scoreMarginMin = 0.15

const functionWords = new Set(
  ("the and that it's with for you this have are from they but not what which there his her would will your been she " +
    "how when who were has had can their about did does just some than then them these those where i'm don't into of " +
    "could should only our its it to is my").split(" ")
)

/** ISO 639-1 of a Latin text that is clearly in another language. */
const otherLanguage = async (text: string): Promise<string | undefined> => {
  const sample = text.slice(0, sampleLength)
  const words = sample.replaceAll("’", "'").match(/\p{L}[\p{L}'-]*/gu) ?? []
  if (words.length < wordsMin) return undefined
  if (words.filter((word) => /^\p{Ll}/u.test(word)).length < lowercaseShareMin * words.length) return undefined
  const english = words.filter((word) => functionWords.has(word.toLowerCase())).length
  if (english >= functionWordShareMin * words.length) return undefined
  // 240 ms and 50 MB once, so only when a text looks foreign at all.
  const { eld } = await import("eld/extrasmall")
  const detected = eld.detect(sample)
  const scores = detected.getScores()
  const margin = (scores[detected.language] ?? 0) - (scores.en ?? 0)
  return detected.language !== "en" && detected.isReliable() && margin >= scoreMarginMin ? detected.language : undefined
}

/** Scripts that are named in a refusal; any other is "another script". */
const scripts = (
  "Han Hiragana Katakana Hangul Bopomofo Cyrillic Greek Arabic Hebrew Devanagari Bengali Gurmukhi Gujarati Tamil " +
  "Telugu Kannada Malayalam Sinhala Thai Lao Khmer Myanmar Tibetan Georgian Armenian Ethiopic Mongolian"
).split(" ").map((name) => [name, new RegExp(`\\p{Script_Extensions=${name}}`, "u")] as const)

/** Names the first letter or digit that has no sound in English; Greek letters have names, words of them have not. */
const foreignScript = (text: string): string | undefined => {
  if (/^\p{ASCII}*$/u.test(text)) return undefined
  if (/\p{Script=Greek}{2}/u.test(text)) return "Greek script"
  for (const [character] of decompose(text).matchAll(/\P{ASCII}/gu)) {
    if (!/[\p{L}\p{Nd}\p{Nl}]/u.test(character) || isSpeakable(character)) continue
    const script = scripts.find(([, pattern]) => pattern.test(character))
    if (script !== undefined) return `${script[0]} script`
    return /\p{Script=Latin}/u.test(character) ? `the letter "${character}"` : "this script"
  }
  return undefined
}

const languageNames = new Intl.DisplayNames(["en"], { type: "language", fallback: "none" })

/** "French (fr)"; the code alone when it names nothing. */
const languageName = (code: string): string => {
  try {
    const name = languageNames.of(code)
    return name === undefined ? `"${code}"` : `${name} (${code})`
  } catch {
    return `"${code}"`
  }
}
