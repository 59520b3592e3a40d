/**
 * Cuts a growing text into what is spoken at a time: sentences, the first one earlier where a clause ends.
 *
 * However a text is divided into deltas, its segments are the same: the segmenter takes one code point after the other, and
 * a segment is given out by the very code point that settles its end. Joined, the segments are the text. Time is linear;
 * no more than {@link Options.longest} code points are kept.
 *
 * How much has to follow the last letter of a sentence before it is given out, in code points:
 *
 * - blank line: itself.
 * - `。` `！` `？` `।` `؟` and the like: 2, the mark and what comes next, unless that closes a quote.
 * - `!` and `?`: 2, the mark and a space. `.` too, after a word that is no abbreviation by list or by length (5 letters).
 * - `.` after a short word, `...`, a mark in or before a closing quote, a line break after a mark: 3, mark, space and what
 *   comes next (a small letter goes on).
 * - `.` after initials, ordinals and abbreviations that may end a sentence: mark, space and one whole word.
 * - a clause of the first segment: 2, the mark and a space; `，` and `—`: 2, the mark and what comes next.
 */
import * as C from "./Segmenter/Characters.ts"
import { rulesOf } from "./Segmenter/Languages.ts"
import { Line } from "./Segmenter/Line.ts"
import { lastClauseEnd, lastWordEnd } from "./Segmenter/LongText.ts"
import { SentenceEnd } from "./Segmenter/SentenceEnd.ts"
import { Tag } from "./Segmenter/Tag.ts"

/** What the listener hears after a segment. */
export type Pause = "clause" | "sentence" | "paragraph"

export interface Segment {
  /** As it was pushed, white space included. */
  readonly text: string
  /** Code points, into all text pushed since the segmenter was made. */
  readonly start: number
  /** Code points; exclusive. */
  readonly end: number
  readonly pause: Pause
  /**
   * False: no letter, digit or symbol that may have a name. Such text goes with what follows; alone it comes only at a flush, or
   * when the two do not fit.
   */
  readonly sayable: boolean
}

export interface Options {
  /** Code points in a segment, at most; at least 2. */
  readonly longest?: number
  /** Letters from which the first clause of an utterance is a segment; `Infinity`: never. */
  readonly firstClause?: number
  /** Letters under which a sentence waits for the next, except the first of an utterance. */
  readonly shortest?: number
}

export interface Segmenter {
  /** The segments that `delta` settles, in order. It may begin and end within a surrogate pair. */
  readonly push: (delta: string) => ReadonlyArray<Segment>
  /** What is left, even within a sentence; what is pushed next begins an utterance. */
  readonly flush: () => ReadonlyArray<Segment>
  /** Drops what is left; what is pushed next begins an utterance. Offsets go on. */
  readonly reset: () => void
  /** What has been pushed and is in no segment yet. */
  readonly pending: string
}

/** Half a minute of speech. */
const longestDefault = 400
/** Some 20 characters: less sounds cut off. */
const firstClauseDefault = 16
/** "Of course." alone has no melody. */
const shortestDefault = 12
/** Letters from which a space ends a segment of Thai or Lao. */
const spacedClause = 60
/** A letter of these scripts counts as so many. */
const wideLetters = 3

const clauseAtSpace = /(?:[,;:\u060c\u061b\u2014)]["'”’»]?|\s[-–])\s$/u

const weightOf = (kind: number) => (kind & C.Wide) !== 0 ? wideLetters : (kind & (C.Letter | C.Digit)) !== 0 ? 1 : 0
const isSayable = (text: string) => [...text].some((char) => (C.classOf(char) & C.Sayable) !== 0)
const lettersIn = (text: string) => [...text].reduce((sum, char) => sum + weightOf(C.classOf(char)), 0)

export const make = (language: string, options: Options = {}): Segmenter => {
  const { firstClause = firstClauseDefault, longest = longestDefault, shortest = shortestDefault } = options
  let out: Array<Segment> = []
  /** Half of a surrogate pair whose other half may be in the next delta. */
  let half = ""
  /** Code points before `text`. */
  let start = 0
  let first = true

  let text = ""
  let length = 0
  let letters = 0
  let sayable = false
  let last = 0

  const sentence = new SentenceEnd(rulesOf(language))
  const line = new Line()
  const tag = new Tag()

  const clear = (atLineStart: boolean) => {
    text = ""
    length = 0
    letters = 0
    last = 0
    sayable = false
    sentence.clear()
    line.clear(atLineStart)
    tag.clear()
  }

  const begin = () => {
    start += length
    first = true
    sentence.unquote()
    clear(true)
  }

  /** Gives out `text` up to `at` code units and takes the rest up again. */
  const cut = (at: number, pause: Pause) => {
    const rest = text.slice(at)
    const given = text.slice(0, at)
    let end = start + length
    for (const _ of rest) end--
    const said = rest === "" ? sayable : isSayable(given)
    out.push({ text: given, start, end, pause, sayable: said })
    start = end
    if (said) first = false
    if (pause === "paragraph") sentence.unquote()
    clear(given.endsWith("\n"))
    for (const char of rest) step(char)
  }

  /** Ends a sentence at `at` code units, if there is enough of it. */
  const cutSentence = (at = text.length, pause: Pause = "sentence", enough = first || pause === "paragraph") => {
    const whole = at === text.length
    if (!(whole ? sayable : isSayable(text.slice(0, at)))) return
    if (enough || (whole ? letters : lettersIn(text.slice(0, at))) >= shortest) cut(at, pause)
  }

  const step = (char: string) => {
    const kind = C.classOf(char)
    if (length >= longest) makeRoom(char)
    if (tag.open && inTag(char)) return
    const end = sentence.wordEnd(char, kind, text)
    if (end !== undefined) cutSentence(end)
    if ((kind & C.Space) === 0) before(char, kind)
    append(char)
    if ((kind & C.Newline) !== 0) newline(char)
    else if ((kind & C.Space) !== 0) space(char)
    else mark(char, kind)
    last = kind
  }

  const append = (char: string) => {
    text += char
    length++
  }

  /** A sentence that does not fit ends after a clause or a word. */
  const makeRoom = (next: string) => {
    const clause = lastClauseEnd(text + next, text.length, text.length / 3)
    const at = clause > 0 && /\s/u.test(text[clause] ?? "") ? clause + 1 : clause
    cut(at > 0 ? at : lastWordEnd(text + next, text.length), "clause")
  }

  /** Whether `char` is part of a tag. One that turns out to be none was text. */
  const inTag = (char: string): boolean => {
    const part = tag.take(char)
    if (part === "none") {
      sayable = true
      sentence.clear()
      return false
    }
    append(char)
    if (part === "end") sentence.tagEnd()
    last = 0
    return true
  }

  /** Decides on what came before `char`, which is no white space. */
  const before = (char: string, kind: number) => {
    if ((kind & C.Extend) !== 0) return
    if (line.endsItem() && sentence.idle) cutLine(text.length)
    else if (sentence.endsBefore(char, kind, text, line.breaks)) cutSentence()
    else if (
      first && sentence.idle && (last & C.WideClause) !== 0 && letters >= firstClause &&
      (kind & (C.WideClause | C.Closer | C.Clause)) === 0
    ) cut(text.length, "clause")
  }

  /** A line of a list is never too short. */
  const cutLine = (at: number) => {
    sentence.clear()
    cutSentence(at, "sentence", true)
  }

  const newline = (char: string) => {
    line.break(text.length, char === "\u2029" ? 2 : 1)
    if (line.breaks < 2) return sentence.lineBreak()
    sentence.clear()
    cutSentence(text.length, "paragraph")
  }

  const space = (char: string) => {
    if (line.space(char)) {
      sentence.clear()
      if (line.at > 0) return cutLine(line.at)
    }
    if (sentence.endsAtSpace()) cutSentence()
    else if (sentence.idle && line.breaks === 0) {
      const clause = first && letters >= firstClause && clauseAtSpace.test(text.slice(-4))
      if (clause || ((last & C.Spaced) !== 0 && letters >= (first ? firstClause : spacedClause))) {
        cut(text.length, "clause")
      }
    }
  }

  /** Takes note of `char`, which is no white space: a mark begins a decision. */
  const mark = (char: string, kind: number) => {
    if ((kind & C.Sayable) !== 0 && !tag.open) {
      if (char === "<") tag.begin()
      else {
        sayable = true
        letters += weightOf(kind)
      }
    }
    sentence.note(char, kind, text, line)
    line.other(char)
  }

  return {
    push: (delta) => {
      const whole = half + delta
      half = (whole.charCodeAt(whole.length - 1) & 0xfc00) === 0xd800 ? whole.at(-1)! : ""
      for (const char of half === "" ? whole : whole.slice(0, -1)) step(char)
      return taken()
    },
    flush: () => {
      if (half !== "") step(half)
      half = ""
      const end = sentence.wordEnd("", 0, text)
      if (end !== undefined) cutSentence(end)
      // An unfinished tag was none.
      if (tag.open) sayable = true
      if (text !== "") cut(text.length, "sentence")
      begin()
      return taken()
    },
    reset: () => {
      if (half !== "") length++
      half = ""
      begin()
    },
    get pending() {
      return text + half
    }
  }

  function taken(): ReadonlyArray<Segment> {
    const given = out
    out = []
    return given
  }
}
