/** Where in a text the voice is, told by the words that have been heard. */
import type { SpokenWord } from "../../domain/PcmChunk.ts"
import { sentenceEnds } from "../Sentences.ts"

/**
 * The text from the sentence after the one that was being spoken at `atMs`; undefined when the words do not tell where
 * that is, or when it was the last one. `words`: the engine's own times, in order, for the text from its beginning.
 */
export const restAfter = (
  text: string,
  words: ReadonlyArray<SpokenWord>,
  atMs: number,
  language: string
): string | undefined => {
  const begun = words.filter(({ source, startMs }) => source === "native" && startMs < atMs)
  if (begun.length === 0) return undefined
  let end = 0
  for (const { text: word } of begun) {
    const at = text.indexOf(word, end)
    if (at === -1) return undefined
    end = at + word.length
  }
  const sentenceEnd = sentenceEnds(text, language).find((at) => at >= end)
  const rest = sentenceEnd === undefined ? "" : text.slice(sentenceEnd)
  return rest.trim() === "" ? undefined : rest
}
