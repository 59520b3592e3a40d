/**
 * Cuts a text into the pieces that are spoken one after another: sentences, and long sentences again at clause marks.
 *
 * The pieces in order hold every word of the text. A piece is at most {@link pieceLengthMax} code units, so that one can
 * be made in a few tenths of a second, and the first is shorter still, since the listener waits for it. The text is read
 * window by window as pieces are pulled: a long one costs nothing ahead of its time.
 */
import { segment } from "sentencex"

/** What the listener hears after a piece. */
export type Pause = "clause" | "sentence" | "paragraph"

export interface Piece {
  /** Trimmed, never empty, never without a letter, digit or symbol that may have a name. */
  readonly text: string
  readonly pause: Pause
}

/** Code units: some 12 s of speech. */
export const pieceLengthMax = 200
/** Code units: some 5 s of speech, so 100 ms of work. */
const firstPieceLengthMax = 90
/** A clause shorter than this sounds cut off; code units. */
const clauseLengthMin = 20
/** The segmenter's share of one pull: under 5 ms. */
const windowLength = 4000

const sayable = /[\p{L}\p{N}\p{Sc}\p{Sm}%&@#°]/u
const clauseEnd = /[,;:\u2013\u2014)](?=\s)|(?<=\s[-\u2013\u2014])(?=\s)/gu
const paragraphEnd = /\n[^\S\n]*\n/u

export function* pieces(text: string, language = "en"): Generator<Piece> {
  let limit = firstPieceLengthMax
  for (const sentence of sentences(text, language)) {
    let rest = sentence.text
    while (rest.length > limit) {
      const at = cutAt(rest, limit)
      if (at === rest.length) break
      const head = rest.slice(0, at).trim()
      rest = rest.slice(at).trim()
      if (sayable.test(head)) {
        yield { text: head, pause: "clause" }
        limit = pieceLengthMax
      }
    }
    if (sayable.test(rest)) {
      yield { text: rest, pause: sentence.pause }
      limit = pieceLengthMax
    }
  }
}

/** Where to cut: the last clause mark that fits, else the last white space, else where the piece is full. */
const cutAt = (text: string, limit: number): number => {
  let clause = 0
  for (const mark of text.slice(0, limit + 1).matchAll(clauseEnd)) {
    const end = mark.index + mark[0].length
    if (end >= clauseLengthMin && end <= limit && text.length - end >= clauseLengthMin) clause = end
  }
  if (clause > 0) return clause
  // Only a clause mark is worth an early cut: a sentence without one waits for the real limit.
  if (limit < pieceLengthMax) return text.length <= pieceLengthMax ? text.length : cutAt(text, pieceLengthMax)
  const space = text.slice(0, limit + 1).search(/\s\S*$/u)
  if (space > 0) return space
  return isHighSurrogate(text, limit - 1) ? limit - 1 : limit
}

const isHighSurrogate = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xd800

/** Where sentences end, in code units, white space after them included; the last is the text's own end. */
export const sentenceEnds = (text: string, language: string): ReadonlyArray<number> => {
  const ends: Array<number> = []
  for (const sentence of verbatimSentences(text, language)) ends.push((ends.at(-1) ?? 0) + sentence.length)
  return ends
}

/** The text sentence by sentence, white space after them included; joined it is the text. Read as it is pulled. */
export function* sentencesOf(text: string, language: string): Generator<string> {
  yield* verbatimSentences(text, language)
}

function* sentences(text: string, language: string): Generator<Piece> {
  let before: string | undefined
  for (const sentence of verbatimSentences(text, language)) {
    if (before !== undefined) yield { text: before.trim(), pause: paragraphEnd.test(before) ? "paragraph" : "sentence" }
    before = sayable.test(sentence) ? sentence : undefined
  }
  if (before !== undefined) yield { text: before.trim(), pause: "sentence" }
}

/** The segmenter's cuts with those undone that no reader would make. Joined they are the text. */
function* verbatimSentences(text: string, language: string): Generator<string> {
  let held = ""
  for (const part of segments(text, language)) {
    if (held !== "" && !belongsTogether(held, part)) {
      yield held
      held = ""
    }
    held += part
  }
  if (held !== "") yield held
}

/** "Ok... fine", "version 3.1. is", "example.Com", and marks alone are no new sentence. */
const belongsTogether = (before: string, after: string): boolean =>
  !paragraphEnd.test(before) &&
  (/^\s*\p{Ll}/u.test(after) || !sayable.test(after) || !sayable.test(before) ||
    (/\S$/u.test(before) && /^\S/u.test(after) && /^[\x21-\x7e]/u.test(after)))

/** The segmenter over windows that end between its own segments, so that a window's edge cuts no sentence. */
function* segments(text: string, language: string): Generator<string> {
  let start = 0
  while (start < text.length) {
    const whole = start + windowLength >= text.length
    const end = whole || !isHighSurrogate(text, start + windowLength - 1)
      ? start + windowLength
      : start + windowLength - 1
    const found: Array<string> = segment(language, text.slice(start, end))
    if (!whole && found.length > 1) found.pop()
    for (const part of found) {
      yield part
      start += part.length
    }
  }
}
