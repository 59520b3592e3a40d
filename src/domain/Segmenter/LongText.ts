/** Where a text is cut that is too long to be said at once. */

const clauseEnd =
  /[,;:\u2013\u2014)\u060c\u061b.!?](?=\s)|(?<=\s[-\u2013\u2014])(?=\s)|[\uff0c\u3001\uff1b\uff1a\u2014]/gu
const graphemes = new Intl.Segmenter("und", { granularity: "grapheme" })

/** Code units; 0 when there is no such mark. `from`: the shortest head, `rest`: the shortest rest that is worth a cut. */
export const lastClauseEnd = (text: string, limit: number, from: number, rest = 0): number => {
  let last = 0
  for (const mark of text.slice(0, limit + 1).matchAll(clauseEnd)) {
    const end = mark.index + mark[0].length
    if (end >= from && end <= limit && text.length - end >= rest) last = end
  }
  return last
}

/**
 * Code units, from 1 to `limit`: after the last white space, else where it is full, and then between graphemes unless
 * one is longer than that. `text` is longer than `limit`.
 */
export const lastWordEnd = (text: string, limit: number): number => {
  for (let at = limit; at > 0; at--) if (/\s/u.test(text[at - 1]!)) return at
  const { index } = graphemes.segment(text).containing(limit)!
  if (index > 0) return index
  return limit > 1 && (text.charCodeAt(limit - 1) & 0xfc00) === 0xd800 ? limit - 1 : limit
}
