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
import { type Ending, endingOf, rulesOf } from "./Segmenter/Languages.ts"
import { Line } from "./Segmenter/Line.ts"
import { lastClauseEnd, lastWordEnd } from "./Segmenter/LongText.ts"
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
/** Code points; longer words begin sentences no more often than others. */
const starterLongest = 12
/** A letter of these scripts counts as so many. */
const wideLetters = 3

const anyMark = C.Stop | C.Strong | C.Ellipsis | C.Final

/** `text`: nothing to decide. `mark`: right after a mark; `gap`: white space since; `word`: in the word after it. */
type State = "text" | "mark" | "gap" | "word"

const clauseAtSpace = /(?:[,;:\u060c\u061b\u2014)]["'”’»]?|\s[-–])\s$/u
const goesOnAfterQuote = /[とっ]/u

const weightOf = (kind: number) => (kind & C.Wide) !== 0 ? wideLetters : (kind & (C.Letter | C.Digit)) !== 0 ? 1 : 0
const isSayable = (text: string) => [...text].some((char) => (C.classOf(char) & C.Sayable) !== 0)
const lettersIn = (text: string) => [...text].reduce((sum, char) => sum + weightOf(C.classOf(char)), 0)

export const make = (language: string, options: Options = {}): Segmenter => {
  const { firstClause = firstClauseDefault, longest = longestDefault, shortest = shortestDefault } = options
  const rules = rulesOf(language)
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

  let state: State = "text"
  let ending: Ending | "strong" | "final" = "never"
  /** A quote or bracket was closed after the mark. */
  let closed = false
  /** In the number of a note: "known.[1] It". */
  let noted = false
  /** Within 《》. */
  let title = false
  /** A tag or pictogram stood where white space would. */
  let gapped = false
  let wordAt = 0

  const line = new Line()
  const tag = new Tag()
  let quoted = false
  let guillemets = false

  const clear = (atLineStart: boolean) => {
    text = ""
    length = 0
    letters = 0
    last = 0
    sayable = false
    state = "text"
    line.clear(atLineStart)
    tag.clear()
  }

  const begin = () => {
    start += length
    first = true
    quoted = guillemets = title = false
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
    if (pause === "paragraph") quoted = guillemets = title = false
    clear(given.endsWith("\n"))
    for (const char of rest) step(char)
  }

  /** Ends a sentence at `at` code units, if there is enough of it; a line of a list is enough. */
  const cutSentence = (at = text.length, pause: Pause = "sentence", enough = first || pause === "paragraph") => {
    state = "text"
    const whole = at === text.length
    if (!(whole ? sayable : isSayable(text.slice(0, at)))) return
    if (enough || (whole ? letters : lettersIn(text.slice(0, at))) >= shortest) cut(at, pause)
  }

  const step = (char: string) => {
    const kind = C.classOf(char)
    if (length >= longest) makeRoom(char)
    if (tag.open && inTag(char)) return
    if (state === "word" && ((kind & (C.Letter | C.Extend)) === 0 || text.length - wordAt >= starterLongest)) {
      endWord(char)
    }
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
      state = "text"
      return false
    }
    append(char)
    if (part === "end" && state === "mark") gapped = true
    last = 0
    return true
  }

  /** Decides on what came before `char`, which is no white space. */
  const before = (char: string, kind: number) => {
    if ((kind & C.Extend) !== 0) return
    if (line.endsItem() && (state === "text" || ending === "never")) return cutSentence(text.length, "sentence", true)
    if (state === "mark") afterMark(char, kind)
    else if (state === "gap") afterGap(char, kind)
    else if (
      first && state === "text" && (last & C.WideClause) !== 0 && letters >= firstClause &&
      (kind & (C.WideClause | C.Closer | C.Clause)) === 0
    ) cut(text.length, "clause")
  }

  const afterMark = (char: string, kind: number) => {
    if (char === "[" || (noted && (kind & C.Digit) !== 0)) noted = true
    else if ((kind & (C.Stop | C.Ellipsis)) !== 0) {
      if (ending !== "strong" && ending !== "final") ending = "ellipsis"
    } else if ((kind & C.Strong) !== 0) ending = "strong"
    else if ((kind & C.Final) !== 0) ending = "final"
    else if (closes(char, kind)) closed = true
    else if ((kind & C.Picto) !== 0) gapped = true
    else if (char === "<") tag.begin()
    else if (gapped) afterGap(char, kind)
    else if (ending === "final") {
      if ((kind & C.Digit) !== 0 && text.endsWith("．")) state = "text"
      else if (closed && (goesOnAfterQuote.test(char) || (kind & (C.Clause | C.Lower)) !== 0)) state = "text"
      else cutSentence()
    } else if ((kind & C.Wide) !== 0 && (ending === "strong" || ending === "surely" || ending === "likely")) {
      cutSentence()
    } else state = "text"
  }

  /** After a full-width mark only what must close does: an opening quote begins the next sentence there. */
  const closes = (char: string, kind: number) =>
    (kind & C.Closer) !== 0 && (ending !== "final" || (char === "\"" ? quoted : !/[“‘«‹]/u.test(char) || guillemets))

  const afterGap = (char: string, kind: number) => {
    if ((kind & C.Picto) !== 0) return
    if ((kind & anyMark) !== 0) {
      state = "mark"
      return afterMark(char, kind)
    }
    if (char === "<") {
      tag.begin()
      return
    }
    if (guillemets && (kind & C.Guillemet) !== 0) {
      state = "mark"
      closed = true
      return
    }
    if (ending === "starter" && (kind & C.Upper) !== 0) {
      state = "word"
      wordAt = text.length
    } else if (ends(kind)) cutSentence()
    else state = "text"
  }

  /** Whether the sentence ended before white space and something of this kind. */
  const ends = (kind: number): boolean => {
    if ((kind & C.Clause) !== 0) return false
    if ((kind & C.Lower) !== 0) return line.breaks > 0 && ending === "strong" && !closed
    if (ending === "capital") return (kind & (C.Upper | C.Caseless | C.Opener)) !== 0
    if (ending === "ellipsis") return (kind & (C.Upper | C.Opener | C.Digit)) !== 0
    if (ending === "number") return (kind & C.Digit) === 0
    return ending !== "never" && ending !== "starter"
  }

  /** "A. I. Smith" has no word "I". */
  const endWord = (next: string) => {
    if (next !== "." && rules.starters.has(text.slice(wordAt).toLowerCase())) cutSentence(wordAt)
    state = "text"
  }

  const newline = (char: string) => {
    line.break(text.length, char === "\u2029" ? 2 : 1)
    if (line.breaks >= 2) cutSentence(text.length, "paragraph")
    else if (state === "mark") state = "gap"
  }

  const space = (char: string) => {
    if (line.space(char)) {
      state = "text"
      if (line.at > 0) return cutSentence(line.at, "sentence", true)
    }
    if (state === "mark") {
      const surely = ending === "surely" || ending === "strong" || ending === "final"
      if (surely && !closed && !guillemets && !gapped) cutSentence()
      else state = "gap"
    } else if (state === "text" && line.breaks === 0) {
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
    if (char === "\"") quoted = !quoted
    else if ((kind & C.Guillemet) !== 0) guillemets = !guillemets
    else if (char === "《" || char === "》") title = char === "《"
    if (state === "text" && (kind & anyMark) !== 0) begins(kind)
    else if (state === "text" && rules.marks.includes(char)) begins(C.Strong)
    line.other(char)
  }

  const begins = (kind: number) => {
    state = "mark"
    closed = gapped = noted = false
    if (title) state = "text"
    else if ((kind & C.Final) !== 0) ending = "final"
    else if ((kind & C.Strong) !== 0) ending = endingOf(text.slice(-41, -1), rules) === "never" ? "likely" : "strong"
    else if ((kind & C.Ellipsis) !== 0) ending = "ellipsis"
    else ending = line.numbers ? "never" : endingOf(text.slice(-41, -1), rules)
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
      if (state === "word") endWord("")
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
