/**
 * Cuts a whole text into the pieces that an engine speaks one after another: the sentences of the house's segmenter, and
 * long ones again at clause marks.
 *
 * The pieces in order hold every word of the text. A piece is at most {@link pieceLengthMax} code units, so that one can
 * be made in a few tenths of a second, and the first is shorter still, since the listener waits for it. The text is read
 * window by window as pieces are pulled: a long one costs nothing ahead of its time.
 */
import { make, type Pause, type Segment } from "../domain/Segmenter.ts"
import { lastClauseEnd, lastWordEnd } from "../domain/Segmenter/LongText.ts"

export type { Pause } from "../domain/Segmenter.ts"

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
/** The segmenter's share of one pull: under 1 ms. */
const windowLength = 4000
/** Code points in a sentence. A text without an end has to be given out in pieces all the same. */
const sentenceLengthMax = 4000

const sayable = /[\p{L}\p{N}\p{Sc}\p{Sm}%&@#°]/u

export function* pieces(text: string, language = "en"): Generator<Piece> {
  let limit = firstPieceLengthMax
  for (const sentence of sentences(text, language)) {
    if (!sentence.sayable) continue
    let rest = sentence.text.trim()
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
  const clause = lastClauseEnd(text, limit, clauseLengthMin, clauseLengthMin)
  if (clause > 0) return clause
  // Only a clause mark is worth an early cut: a sentence without one waits for the real limit.
  if (limit < pieceLengthMax) return text.length <= pieceLengthMax ? text.length : cutAt(text, pieceLengthMax)
  return lastWordEnd(text, limit)
}

/** Where sentences end, in code units, white space after them included; the last is the text's own end. */
export const sentenceEnds = (text: string, language: string): ReadonlyArray<number> => {
  const ends: Array<number> = []
  for (const sentence of sentences(text, language)) ends.push((ends.at(-1) ?? 0) + sentence.text.length)
  return ends
}

/** The text sentence by sentence, white space after them included; joined it is the text. Read as it is pulled. */
export function* sentencesOf(text: string, language: string): Generator<string> {
  for (const sentence of sentences(text, language)) yield sentence.text
}

function* sentences(text: string, language: string): Generator<Segment> {
  const segmenter = make(language, { firstClause: Infinity, shortest: 0, longest: sentenceLengthMax })
  for (let at = 0; at < text.length; at += windowLength) yield* segmenter.push(text.slice(at, at + windowLength))
  yield* segmenter.flush()
}
