/**
 * Writes a text the way Flite can read it: plain ASCII, symbols as words, nothing that would be dropped in silence.
 *
 * Flite expands numbers, dates, dollars and abbreviations by itself. It reads bytes, not Unicode, and gives no sound to
 * most symbols.
 */

/** A word of the text, and what Flite is given for it. */
export interface Spelled {
  /** As in the text, without the marks around it. */
  readonly text: string
  /** Printable ASCII; several words for a symbol. */
  readonly spoken: string
}

/** Letters that do not decompose. */
const letters: Record<string, string> = {
  ß: "ss",
  ẞ: "SS",
  æ: "ae",
  Æ: "AE",
  œ: "oe",
  Œ: "OE",
  ø: "o",
  Ø: "O",
  ł: "l",
  Ł: "L",
  đ: "d",
  Đ: "D",
  ð: "d",
  Ð: "D",
  þ: "th",
  Þ: "Th",
  ı: "i",
  ħ: "h",
  Ħ: "H",
  ŋ: "ng",
  Ŋ: "Ng"
}

/** Greek letters stand in English text as symbols: their names, from U+03B1 on. */
const greek = (
  "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pie rho sigma sigma tau upsilon " +
  "fie kai psi omega"
).split(" ")
const greekName = (letter: string): string | undefined => greek[letter.toLowerCase().charCodeAt(0) - 0x3b1]

const currencies: Record<string, string> = { "£": "pounds", "€": "euros", "¥": "yen", "₹": "rupees", "₽": "roubles" }

/** Applied in order to one word. Spaces around a replacement keep it a word of its own. */
const rules: ReadonlyArray<readonly [RegExp, string | ((...groups: Array<string>) => string)]> = [
  [/^https?:\/\//giu, ""],
  [/(?<=\d)\u00bd/gu, " and a half"],
  [/\u00bd/gu, "one half"],
  [/\u00bc/gu, "one quarter"],
  [/\u00be/gu, "three quarters"],
  [/[\u2018\u2019\u201b\u02bc\u2032]/gu, "'"],
  [/[\u201c-\u201f\u00ab\u00bb\u2033]/gu, "\""],
  [/\u2026/gu, "..."],
  [/(?<=\d)[\u2012-\u2015](?=\d)/gu, " to "],
  [/\s*[\u2012-\u2015]+\s*/gu, ", "],
  [/[\u2010\u2011]/gu, "-"],
  [/^[-\u2212](?=\.?\d)/gu, "minus "],
  [/\u2212/gu, " minus "],
  [
    /([£€¥₹₽])(\d+(?:,\d{3})*)(?:\.(\d\d))?(?![\d.]*\d)/gu,
    (_, sign, whole, part) => `${whole} ${currencies[sign!]}${part === undefined ? "" : ` ${part}`}`
  ],
  [/([£€¥₹₽])([\d.,]*\d)/gu, (_, sign, amount) => `${amount} ${currencies[sign!]}`],
  [/(?<=\d)[£€¥₹₽]|[£€¥₹₽]/gu, (sign) => ` ${currencies[sign!]} `],
  [/°\s*C\b/gu, " degrees Celsius "],
  [/°\s*F\b/gu, " degrees Fahrenheit "],
  [/°/gu, " degrees "],
  [/(?<!\d)%/gu, " percent "],
  [/&/gu, " and "],
  [/@/gu, " at "],
  [/\+/gu, " plus "],
  [/=/gu, " equals "],
  [/#(?=\d)/gu, " number "],
  [/#(?=\p{L})/gu, " hash "],
  [/×/gu, " times "],
  [/÷/gu, " divided by "],
  [/(?<=\d)<|^<$/gu, " less than "],
  [/(?<=\d)>|^>$/gu, " greater than "],
  [/(?<=\p{L})\/(?=\p{L})|(?<=\p{L}\w)\/(?=\w)/gu, " slash "],
  [/(?<=[\p{L}\d]{2})\.(?=\p{L}{2})/gu, " dot "],
  [/\d+(?:\.\d+){2,}/gu, (version) => version!.replaceAll(".", " point ")]
]

const unheard = /[^\x20-\x7e]|[\\_*~^|<>[\]{}]/gu
/** Marks that hold no word of their own: a word is shown without them. */
const around = /^(?:["'“”‘’«»()[\]{}.,:;!?…—–_*~]|-(?!\d))+|["'“”‘’«»()[\]{}.,:;!?…—–_*~-]+$/gu
/** Abbreviations keep their last dot. */
const dotted = /^(?:\p{L}\.){2,}$/u
const magnitude = /^(?:thousand|million|billion|trillion)(?=\P{L}*$)/iu

/** The words of the text that can be heard. Marks and pictograms that stand alone are none. */
export const spell = (text: string): ReadonlyArray<Spelled> => {
  const spelled: Array<{ text: string; spoken: string }> = []
  const words = text.split(/\s+/u).filter((word) => word !== "")
  let currency: string | undefined
  words.forEach((word, i) => {
    // "£7 million" is seven million pounds: the sign waits for the magnitude.
    let spoken = spokenOf(currency === undefined ? word : word.replace(magnitude, `$& ${currency}`))
    currency = undefined
    const sign = word.match(/^[£€¥₹₽](?=[\d.,]+$)/u)?.[0]
    if (sign !== undefined && magnitude.test(words[i + 1] ?? "")) {
      currency = currencies[sign]
      spoken = word.slice(sign.length)
    }
    const last = spelled.at(-1)
    if (/[a-z0-9]/iu.test(spoken)) {
      spelled.push({ text: dotted.test(word) ? word : word.replace(around, "") || word, spoken })
    } else if (last !== undefined && /[,.;:!?]|^-+$/u.test(spoken) && !/[,.;:!?]$/u.test(last.spoken)) {
      // A dash between words is heard as a pause.
      last.spoken += /[.;:!?]/u.exec(spoken)?.[0] ?? ","
    }
  })
  return spelled
}

const spokenOf = (word: string): string => {
  if (/^[a-z]+[,.;:!?]?$/iu.test(word)) return word
  let spoken = word
  for (const [pattern, replacement] of rules) spoken = spoken.replace(pattern, replacement as string)
  return decompose(spoken)
    .replace(/\P{ASCII}/gu, (letter) => {
      const name = greekName(letter)
      return name === undefined ? letters[letter] ?? letter : ` ${name} `
    })
    .replace(unheard, " ")
    .replace(/\s+/gu, " ")
    .replace(/\s+(?=[,.;:!?])/gu, "")
    .trim()
}

/** Compatibility forms opened, accents taken off. */
export const decompose = (text: string): string => text.normalize("NFKD").replace(/\p{M}/gu, "")

/** Whether Flite has a sound for this letter, after {@link decompose}. */
export const isSpeakable = (letter: string): boolean =>
  /[a-z]/iu.test(letter) || letter in letters || greekName(letter) !== undefined
