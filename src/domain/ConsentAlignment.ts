/** How well a spoken consent fits its text. */
import { Schema } from "effect"

export const ConsentAlignment = Schema.Struct({
  /**
   * 0 to 1: mean confidence of the text's words when all of them have to be found in the recording in their order; 0 when
   * they cannot be.
   */
  score: Schema.Number,
  language: Schema.Literals(["en", "fr"]),
  /** 0 to 1: the share of the text's words that are heard in their order when other words might have been said as well. */
  words_found_ratio: Schema.Number
})
export type ConsentAlignment = typeof ConsentAlignment.Type

/** Languages that there is a model of. */
export const alignable = Schema.is(ConsentAlignment.fields.language)

/** Lower-case words; what is no letter or apostrophe parts them. */
export const wordsOf = (text: string): ReadonlyArray<string> =>
  text.normalize("NFC").toLowerCase().replaceAll("’", "'").match(/\p{L}[\p{L}\p{M}']*/gu) ?? []

/** How many of `said` are in `heard`, in their order: the longest common subsequence. */
export const inOrder = (said: ReadonlyArray<string>, heard: ReadonlyArray<string>): number => {
  let row = Array.from({ length: heard.length + 1 }, () => 0)
  for (const word of said) {
    const next = [0]
    heard.forEach((other, n) => next.push(word === other ? row[n]! + 1 : Math.max(row[n + 1]!, next[n]!)))
    row = next
  }
  return row.at(-1)!
}
