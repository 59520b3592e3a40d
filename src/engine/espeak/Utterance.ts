/**
 * A piece of text as espeak takes it, and the way back from its events to the words of the text.
 *
 * espeak reads SSML, so that marks are escaped; it counts code points of what it reads, and makes several words of one of
 * ours, as of a number. A word of ours lasts from its first event to the next word's, or to the end of the clause.
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
      for (const _ of escaped) wordAt.push(words.length)
      markup += escaped
      if (part.trim() !== "") words.push(bare(part))
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
  const close = (end: number): Array<PlacedWord> => {
    const { index, start } = open ?? { index: -1, start: 0 }
    open = undefined
    return end > start && words[index] !== undefined ? [{ text: words[index], start, end }] : []
  }
  return {
    place: (events: ReadonlyArray<EspeakEvent>): ReadonlyArray<PlacedWord> =>
      events.flatMap(({ audio_position, text_position, type }) => {
        if (type === "end") return close(samples(audio_position))
        const index = wordAt[text_position - 1]
        if (type !== "word" || index === undefined || index <= (open?.index ?? -1)) return []
        const closed = close(samples(audio_position))
        open = { index, start: samples(audio_position) }
        return closed
      }),
    /** All that is left, at the end of the audio. */
    end: close
  }
}
