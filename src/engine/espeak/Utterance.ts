/**
 * A piece of text as espeak takes it, and the way back from its events to the words of the text.
 *
 * espeak reads SSML, so that marks are escaped. It counts code points of what it reads, makes several words of one of ours,
 * as of a number, and one of several, as of "for a". A word lasts from its first event to the next word's, or to the end
 * of the clause.
 */
import type { PlacedWord } from "../process/Model.ts"
import type { EspeakEvent } from "./EspeakModule.ts"

export interface Utterance {
  readonly markup: string
  readonly words: ReadonlyArray<string>
  /** Which word a code point of the markup belongs to; space belongs to the word behind it. */
  readonly wordAt: ReadonlyArray<number>
}

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" }

/** Runs without white space are words, except where a script does without: there the dictionary says. */
const spaceless =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u
const segmenter = new Intl.Segmenter("en", { granularity: "word" })

export const utteranceOf = (text: string): Utterance => {
  const words: Array<string> = []
  const wordAt: Array<number> = []
  let markup = ""
  for (const run of text.match(/\s+|\S+/gu) ?? []) {
    const parts = spaceless.test(run) ? [...segmenter.segment(run)].map(({ segment }) => segment) : [run]
    for (const part of parts) {
      const escaped = part.replace(/[&<>]/gu, (mark) => escapes[mark]!)
      // The dictionary cuts marks off as well: they stay with the word before.
      const isMark = parts.length > 1 && words.length > 0 && /^\p{P}+$/u.test(part)
      for (const _ of escaped) wordAt.push(isMark ? words.length - 1 : words.length)
      markup += escaped
      if (part.trim() !== "" && !isMark) words.push(bare(part))
    }
  }
  return { markup, words, wordAt }
}

/** Without the marks around it, unless it is nothing else. */
const bare = (word: string): string => word.replace(/^[\p{P}]+|[\p{P}]+$/gu, "") || word

/** Takes the events as they come, and gives each word once its end is known. */
export const makePlacer = ({ wordAt, words }: Utterance, sampleRate: number) => {
  const samples = (millis: number) => Math.round((millis * sampleRate) / 1000)
  let open: { readonly index: number; readonly start: number } | undefined
  /** Words before `next` are over; those without an event of their own were spoken in one breath with the one before. */
  const close = (end: number, next: number): ReadonlyArray<PlacedWord> => {
    if (open === undefined || end <= open.start) return []
    const { index, start } = open
    open = undefined
    return share(words.slice(index, Math.max(next, index + 1)), start, end)
  }
  return {
    place: (events: ReadonlyArray<EspeakEvent>): ReadonlyArray<PlacedWord> =>
      events.flatMap(({ audio_position, text_position, type }) => {
        // It lies behind the last mark of the clause.
        if (type === "end") return close(samples(audio_position), (wordAt[text_position - 2] ?? -1) + 1)
        const index = wordAt[text_position - 1]
        if (type !== "word" || index === undefined || index <= (open?.index ?? -1)) return []
        const closed = close(samples(audio_position), index)
        open = { index, start: samples(audio_position) }
        return closed
      }),
    /** All that is left, at the end of the audio. */
    end: (end: number) => close(end, words.length)
  }
}

/** By their letters. */
const share = (words: ReadonlyArray<string>, start: number, end: number): ReadonlyArray<PlacedWord> => {
  const letters = words.reduce((sum, word) => sum + word.length, 0)
  let spoken = 0
  return words.map((text) => {
    const from = start + Math.round(((end - start) * spoken) / letters)
    spoken += text.length
    return { text, start: from, end: start + Math.round(((end - start) * spoken) / letters) }
  })
}
