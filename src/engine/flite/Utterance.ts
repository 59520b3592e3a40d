/**
 * Reads when each token is heard, out of Flite's memory, at the moment it has made the wave and opens the file for it.
 *
 * Flite's own `-psdur` prints phones without saying whose they are. Its utterance knows: every token has its words, each
 * word its syllables, each syllable its segments with their end times. The layouts below are those of Flite's
 * `include/cst_{relation,item,features,val,utterance}.h` with 32-bit pointers. Every pointer followed is checked, and a
 * graph that does not hold together is an error, never a guess.
 */

/** A token as Flite cut it. `start` and `end` in s; equal when nothing of it is spoken. */
export interface Token {
  /** Characters of the text up to the token's end. */
  readonly endsAt: number
  readonly start: number
  readonly end: number
}

export interface Utterance {
  readonly tokens: ReadonlyArray<Token>
  /** In order; silence is named `pau`. `end` in s. */
  readonly segments: ReadonlyArray<{ readonly name: string; readonly end: number }>
}

/** Byte offsets within each struct. */
const relationLayout = { name: 0, utterance: 8, head: 12 } as const
const itemLayout = { contents: 0, relation: 4, next: 8, daughter: 20 } as const
const contentsLayout = { features: 0, relations: 4 } as const
const utteranceLayout = { relations: 8 } as const
const pairLayout = { name: 0, value: 4, next: 8 } as const
const valueLayout = { atom: 4 } as const

/** Far above any real count: a list longer than this is a loop. */
const listLengthMax = 100_000

export const readUtterance = (memory: ArrayBuffer, heapStart: number): Utterance => {
  const bytes = Buffer.from(memory)
  const pointer = (at: number): number => {
    const address = bytes.readUInt32LE(at)
    if (address >= bytes.length) throw new Error(`Flite's utterance points outside of its memory at ${at}`)
    return address
  }
  const string = (at: number): string => bytes.toString("latin1", at, bytes.indexOf(0, at))

  function* list(head: number, next: number): Generator<number> {
    let length = 0
    for (let at = head; at !== 0; at = pointer(at + next)) {
      if (++length > listLengthMax) throw new Error("Flite's utterance has a loop")
      yield at
    }
  }
  /** The value of a feature: 0 when absent. */
  const feature = (features: number, name: string): number => {
    if (features === 0) return 0
    for (const pair of list(pointer(features), pairLayout.next)) {
      if (string(pointer(pair + pairLayout.name)) === name) return pointer(pair + pairLayout.value)
    }
    return 0
  }
  const contents = (item: number) => pointer(item + itemLayout.contents)
  const itemFeature = (item: number, name: string) => feature(pointer(contents(item) + contentsLayout.features), name)
  const daughters = (item: number) => list(item === 0 ? 0 : pointer(item + itemLayout.daughter), itemLayout.next)
  /** The same thing seen in another relation: 0 when it is not part of it. */
  const seenIn = (item: number, relation: string): number => {
    const value = feature(pointer(contents(item) + contentsLayout.relations), relation)
    return value === 0 ? 0 : pointer(value + valueLayout.atom)
  }

  const utterance = findUtterance(bytes, heapStart)
  const relation = (name: string) => {
    const value = feature(pointer(utterance + utteranceLayout.relations), name)
    if (value === 0) throw new Error(`Flite's utterance has no relation ${name}`)
    return list(pointer(pointer(value + valueLayout.atom) + relationLayout.head), itemLayout.next)
  }

  const segments: Array<{ name: string; end: number }> = []
  const spans = new Map<number, { start: number; end: number }>()
  let start = 0
  for (const item of relation("Segment")) {
    const value = itemFeature(item, "end")
    const end = value === 0 ? Number.NaN : bytes.readFloatLE(value + valueLayout.atom)
    if (!(end >= start)) throw new Error("Flite's segments are not in order")
    segments.push({ name: string(pointer(itemFeature(item, "name") + valueLayout.atom)), end })
    spans.set(contents(item), { start, end })
    start = end
  }

  const tokens: Array<Token> = []
  let heard = 0
  for (const token of relation("Token")) {
    const spoken: Array<{ start: number; end: number }> = []
    for (const word of daughters(token)) {
      for (const syllable of daughters(seenIn(word, "SylStructure"))) {
        for (const segment of daughters(syllable)) {
          const span = spans.get(contents(segment))
          if (span === undefined) throw new Error("Flite's word has a segment that is not spoken")
          spoken.push(span)
        }
      }
    }
    const position = itemFeature(token, "file_pos")
    if (position === 0) throw new Error("Flite's token has no place in the text")
    tokens.push({
      // Flite has read one character further by then, except at the end of the text.
      endsAt: bytes.readInt32LE(position + valueLayout.atom) - 1,
      start: spoken[0]?.start ?? heard,
      end: heard = spoken.at(-1)?.end ?? heard
    })
  }
  return { tokens, segments }
}

/**
 * The utterance is whom the relation named `Token` belongs to: the only struct on the heap whose first field points at
 * that string and whose head is an item that points back.
 */
const findUtterance = (bytes: Buffer, heapStart: number): number => {
  const needle = Buffer.alloc(4)
  const points = (at: number) => at > 0 && at + 24 <= bytes.length
  for (let name = heapStart; (name = bytes.indexOf("Token\0", name, "latin1")) !== -1; name++) {
    needle.writeUInt32LE(name)
    for (let at = heapStart; (at = bytes.indexOf(needle, at)) !== -1; at++) {
      if (at % 4 !== 0 || at + 20 > bytes.length) continue
      const head = bytes.readUInt32LE(at + relationLayout.head)
      const utterance = bytes.readUInt32LE(at + relationLayout.utterance)
      if (points(head) && points(utterance) && bytes.readUInt32LE(head + itemLayout.relation) === at) return utterance
    }
  }
  throw new Error("Flite's utterance is not where it should be")
}
