/** Follows the lines of a text: blank ones, items of lists, headings. */

const isMark = /^[^\S\n]{0,8}(?:[-*+•‣◦·–]|\p{Nd}{1,3}[.)]|#{1,6}|[a-z]\))$/u
const mayBeMark = /^[^\S\n]{0,8}(?:\p{Nd}{1,3}|#{1,6}|[a-z])?$/u

export class Line {
  /** Line breaks in the white space before what comes next. */
  breaks = 0
  /** Where this line begins in the segment; code units. */
  at = 0
  private indented = false
  private item = false
  /** The beginning of this line while it may be the mark of an item. */
  private mark: string | undefined = ""

  clear(atStart: boolean) {
    this.breaks = this.at = 0
    this.indented = this.item = false
    this.mark = atStart ? "" : undefined
  }

  break(at: number, count: number) {
    this.breaks += count
    this.at = at
    this.indented = false
    this.mark = ""
  }

  /** White space in a line. True: it completes the mark of an item, or of a heading. */
  space(char: string): boolean {
    if (this.breaks > 0) this.indented = true
    if (this.mark === undefined) return false
    if (isMark.test(this.mark)) {
      this.mark = undefined
      this.item = true
      return true
    }
    this.mark += char
    return false
  }

  other(char: string) {
    this.breaks = 0
    this.indented = false
    if (this.mark === undefined) return
    this.mark += char
    if (!isMark.test(this.mark) && !mayBeMark.test(this.mark)) this.mark = undefined
  }

  /** Whether a full stop here would belong to the number of an item. */
  get numbers(): boolean {
    return this.mark !== undefined && isMark.test(`${this.mark}.`)
  }

  /** Whether an item ended before what comes next: it goes on only in a line that is indented. Told once. */
  endsItem(): boolean {
    const ends = this.breaks === 1 && this.item && !this.indented
    if (ends) this.item = false
    return ends
  }
}
