/**
 * What an index can tell of a text without reading it: the pairs of neighbouring characters in its words, each as one bit
 * of a few (a Bloom filter of one hash). A text that holds a word has all the word's bits; one that has them may hold it.
 *
 * A search so reads the texts of the voices that may match, and no other's. Bits are kept 52 to a column, whole numbers
 * that every driver carries exactly. Texts are folded before they come here.
 */

const bitsEach = 52

/** Of name, description and tags: 208 bits, a third of them set by 100 different pairs. */
export const textColumns = ["search_bits_0", "search_bits_1", "search_bits_2", "search_bits_3"] as const
/** Of the name. */
export const nameColumns = ["search_name_bits"] as const

export type Bits<Column extends string> = Record<Column, number>

/** The bits of every word in the text. A word of one character sets none. */
const bitsOf = <Column extends string>(columns: ReadonlyArray<Column>, text: string): Bits<Column> => {
  const set = columns.map(() => new Set<number>())
  for (let at = 0; at + 1 < text.length; at++) {
    const [one, next] = [text.charCodeAt(at), text.charCodeAt(at + 1)]
    if (isGap(one) || isGap(next)) continue
    const bit = (Math.imul(one, 0x9e3779b1) ^ Math.imul(next, 0x85ebca6b)) >>> 7
    set[bit % columns.length]!.add(Math.floor(bit / columns.length) % bitsEach)
  }
  const masks = set.map((bits) => [...bits].reduce((mask, bit) => mask + 2 ** bit, 0))
  return Object.fromEntries(columns.map((column, i) => [column, masks[i]!])) as Bits<Column>
}

const isGap = (unit: number) => unit === 0x20 || unit === 0x0a

export const textBits = (text: string): Bits<typeof textColumns[number]> => bitsOf(textColumns, text)
export const nameBits = (text: string): Bits<typeof nameColumns[number]> => bitsOf(nameColumns, text)
