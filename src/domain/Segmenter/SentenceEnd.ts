/**
 * Decides whether a mark ends its sentence, by what comes after it, one code point at a time.
 *
 * Ends are given in code units of the text since the last cut, which every method is told of as it was before `char`.
 */
import * as C from "./Characters.ts"
import { type Ending, endingOf, type Rules } from "./Languages.ts"
import type { Line } from "./Line.ts"

const anyMark = C.Stop | C.Strong | C.Ellipsis | C.Final
/** Code points; longer words begin sentences no more often than others. */
const starterLongest = 12
/** Code units before a full stop that tell what it is. */
const wordLength = 40
const goesOnAfterQuote = /[とっ]/u

export class SentenceEnd {
  /** `text`: nothing to decide. `mark`: right after a mark; `gap`: white space since; `word`: in the word after it. */
  private state: "text" | "mark" | "gap" | "word" = "text"
  private ending: Ending | "strong" | "final" = "never"
  /** A quote or bracket was closed after the mark. */
  private closed = false
  /** In the number of a note: "known.[1] It". */
  private noted = false
  /** A tag or pictogram stood where white space would. */
  private gapped = false
  private wordAt = 0

  private quoted = false
  private guillemets = false
  /** Within 《》. */
  private title = false

  private readonly rules: Rules

  constructor(rules: Rules) {
    this.rules = rules
  }

  /** Nothing to decide, or nothing that can end here. */
  get idle() {
    return this.state === "text" || this.ending === "never"
  }

  clear() {
    this.state = "text"
  }

  /** No quote is open any more. */
  unquote() {
    this.quoted = false
    this.guillemets = false
    this.title = false
  }

  /** Where the sentence ended, when `char` settles it by ending the word after the mark. `char`: "" at the end of all. */
  wordEnd(char: string, kind: number, text: string): number | undefined {
    if (this.state !== "word") return undefined
    if ((kind & (C.Letter | C.Extend)) !== 0 && text.length - this.wordAt < starterLongest) return undefined
    this.state = "text"
    // "A. I. Smith" has no word "I".
    return char !== "." && this.rules.starters.has(text.slice(this.wordAt).toLowerCase()) ? this.wordAt : undefined
  }

  /** Whether the sentence ended before `char`, which is no white space. `breaks`: line breaks right before it. */
  endsBefore(char: string, kind: number, text: string, breaks: number): boolean {
    if (this.state === "text" || this.state === "word" || (kind & C.Extend) !== 0) return false
    const ends = this.state === "mark"
      ? this.afterMark(char, kind, text, breaks)
      : this.afterGap(char, kind, text, breaks)
    if (ends !== undefined) this.state = "text"
    if (ends !== "word") return ends === true
    this.state = "word"
    this.wordAt = text.length
    return false
  }

  /** Whether the sentence ends with this white space. */
  endsAtSpace(): boolean {
    if (this.state !== "mark") return false
    const surely = this.ending === "surely" || this.ending === "strong" || this.ending === "final"
    const ends = surely && !this.closed && !this.guillemets && !this.gapped
    this.state = ends ? "text" : "gap"
    return ends
  }

  lineBreak() {
    if (this.state === "mark") this.state = "gap"
  }

  tagEnd() {
    if (this.state === "mark") this.gapped = true
  }

  /** Takes note of `char`, which is no white space; here `text` ends with it. */
  note(char: string, kind: number, text: string, line: Line) {
    if (char === "\"") this.quoted = !this.quoted
    else if ((kind & C.Guillemet) !== 0) this.guillemets = !this.guillemets
    else if (char === "《" || char === "》") this.title = char === "《"
    if (this.state !== "text" || this.title) return
    if ((kind & anyMark) !== 0 || this.rules.marks.includes(char)) this.begin(kind, text, line)
  }

  private begin(kind: number, text: string, line: Line) {
    this.state = "mark"
    this.closed = false
    this.gapped = false
    this.noted = false
    if ((kind & C.Final) !== 0) this.ending = "final"
    else if ((kind & C.Ellipsis) !== 0) this.ending = "ellipsis"
    else {
      const ending = endingOf(text.slice(-1 - wordLength, -1), this.rules)
      if ((kind & C.Stop) === 0) this.ending = ending === "never" ? "likely" : "strong"
      else this.ending = line.numbers ? "never" : ending
    }
  }

  /** Undefined: not settled. */
  private afterMark(char: string, kind: number, text: string, breaks: number): boolean | "word" | undefined {
    const { ending } = this
    if (char === "[" || (this.noted && (kind & C.Digit) !== 0)) this.noted = true
    else if ((kind & (C.Stop | C.Ellipsis)) !== 0) {
      if (ending !== "strong" && ending !== "final") this.ending = "ellipsis"
    } else if ((kind & C.Strong) !== 0) this.ending = "strong"
    else if ((kind & C.Final) !== 0) this.ending = "final"
    else if (this.closes(char, kind)) this.closed = true
    else if ((kind & C.Picto) !== 0) this.gapped = true
    else if (char === "<") return undefined
    else if (this.gapped) return this.afterGap(char, kind, text, breaks)
    else if (ending === "final") {
      if ((kind & C.Digit) !== 0 && text.endsWith("．")) return false
      return !this.closed || (!goesOnAfterQuote.test(char) && (kind & (C.Clause | C.Lower)) === 0)
    } else return (kind & C.Wide) !== 0 && (ending === "strong" || ending === "surely" || ending === "likely")
    return undefined
  }

  /** After a full-width mark only what must close does: an opening quote begins the next sentence there. */
  private closes(char: string, kind: number): boolean {
    if ((kind & C.Closer) === 0) return false
    return this.ending !== "final" || (char === "\"" ? this.quoted : !/[“‘«‹]/u.test(char) || this.guillemets)
  }

  private afterGap(char: string, kind: number, text: string, breaks: number): boolean | "word" | undefined {
    if ((kind & C.Picto) !== 0 || char === "<") return undefined
    if ((kind & anyMark) !== 0) {
      this.state = "mark"
      return this.afterMark(char, kind, text, breaks)
    }
    if (this.guillemets && (kind & C.Guillemet) !== 0) {
      this.state = "mark"
      this.closed = true
      return undefined
    }
    return this.ending === "starter" && (kind & C.Upper) !== 0 ? "word" : this.beginsAnew(kind, breaks)
  }

  /** Whether something of this kind, after white space, begins a sentence. */
  private beginsAnew(kind: number, breaks: number): boolean {
    const { ending } = this
    if ((kind & C.Clause) !== 0) return false
    if ((kind & C.Lower) !== 0) return breaks > 0 && ending === "strong" && !this.closed
    if (ending === "capital") return (kind & (C.Upper | C.Caseless | C.Opener)) !== 0
    if (ending === "ellipsis") return (kind & (C.Upper | C.Opener | C.Digit)) !== 0
    if (ending === "number") return (kind & C.Digit) === 0
    return ending !== "never" && ending !== "starter"
  }
}
