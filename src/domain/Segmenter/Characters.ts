/** What a code point is to the segmenter: a set of bits, worked out once for each code point of the first plane. */

export const Space = 1
export const Newline = 1 << 1
export const Lower = 1 << 2
export const Upper = 1 << 3
/** A letter of a script without case. */
export const Caseless = 1 << 4
export const Digit = 1 << 5
/** Written without spaces between words; one says about as much as three Latin letters. */
export const Wide = 1 << 6
/** Thai and Lao have no mark for the end of a sentence; a space stands between clauses. */
export const Spaced = 1 << 7
/** `.` */
export const Stop = 1 << 8
/** `!` and `?`: ends a sentence before a space, a full-width letter or the end of a quote. */
export const Strong = 1 << 9
/** `…` */
export const Ellipsis = 1 << 10
/** `。`, `।`, `؟`: ends a sentence whatever comes next. */
export const Final = 1 << 11
/** What may stand between a mark and the end of its sentence: quotes, brackets, emphasis. */
export const Closer = 1 << 12
/** A quote or bracket that can only open: what it opens is no end of what came before. */
export const Opener = 1 << 13
/** `,` `;` `:` and their like: after one the sentence goes on. */
export const Clause = 1 << 14
/** A clause mark that no space follows. */
export const WideClause = 1 << 15
/** Marks, joiners and selectors: never the beginning of a grapheme. */
export const Extend = 1 << 16
/** A pictogram or part of a flag: nothing to say, belongs to what came before. */
export const Picto = 1 << 17
/** A letter, a digit, or a symbol that may have a name. */
export const Sayable = 1 << 18
/** Opens and closes in one language and the other way round in the next. */
export const Guillemet = 1 << 19

export const Letter = Lower | Upper | Caseless

const bits: ReadonlyArray<readonly [bit: number, pattern: RegExp]> = [
  [Space, /\s/u],
  [Newline, /[\n\v\f\u0085\u2028\u2029]/u],
  [Lower, /\p{Ll}/u],
  [Upper, /[\p{Lu}\p{Lt}]/u],
  [Caseless, /[\p{Lo}\p{Lm}]/u],
  [Digit, /\p{N}/u],
  [Wide, /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/u],
  [Spaced, /[\p{sc=Thai}\p{sc=Lao}]/u],
  [Stop, /\./u],
  [Strong, /[!?\u203c\u203d\u2047-\u2049]/u],
  [Ellipsis, /\u2026/u],
  // CJK; Devanagari and its neighbours; Arabic and Urdu; Armenian, Ethiopic, Tibetan, Burmese, Khmer, Mongolian.
  [
    Final,
    /[\u3002\uff0e\uff61\uff01\uff1f\u0964\u0965\u061f\u06d4\u0589\u1362\u1367\u0f0d\u0f0e\u104b\u17d4\u17d5\u1803]/u
  ],
  [Closer, /["'*_`~)\]}»«›‹\p{Pf}\p{Pi}\p{Pe}]/u],
  [Opener, /[\p{Ps}¿¡]/u],
  [Clause, /[,;:\u060c\u061b\uff0c\u3001\uff1b\uff1a\uff64]/u],
  [WideClause, /[\uff0c\u3001\uff1b\uff1a\uff64\u2014]/u],
  [Extend, /\p{M}|\p{Emoji_Modifier}|\p{Default_Ignorable_Code_Point}/u],
  [Picto, /[\p{Extended_Pictographic}\p{RI}\u20e3]/u],
  [Guillemet, /[«»‹›]/u],
  [Sayable, /[\p{L}\p{N}\p{Sc}\p{Sm}%&@#°]/u]
]

const known = new Int32Array(0x10000).fill(-1)

/** `char`: one code point; a lone surrogate is none of the above. */
export const classOf = (char: string): number => {
  const code = char.length === 1 ? char.charCodeAt(0) : -1
  if (code >= 0 && known[code]! >= 0) return known[code]!
  let found = 0
  for (const [bit, pattern] of bits) if (pattern.test(char)) found |= bit
  // ‼ and ⁉ are pictograms too; as marks they end something.
  if ((found & Strong) !== 0) found &= ~Picto
  if (code >= 0) known[code] = found
  return found
}
