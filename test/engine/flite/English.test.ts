import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { refusal } from "../../../src/engine/flite/English.ts"

const refused: ReadonlyArray<readonly [text: string, language: string, field: string, names: RegExp]> = [
  ["Hello", "fr", "language", /French \(fr\)/u],
  ["Hello", "ja", "language", /Japanese \(ja\)/u],
  ["Hello", "xx", "language", /"xx"/u],
  ["日本語", "", "text", /Han/u],
  ["ひらがな", "", "text", /Hiragana/u],
  ["안녕하세요", "", "text", /Hangul/u],
  ["Привет, мир", "en", "text", /Cyrillic/u],
  ["مرحبا", "", "text", /Arabic/u],
  ["שלום", "", "text", /Hebrew/u],
  ["नमस्ते", "", "text", /Devanagari/u],
  ["สวัสดี", "", "text", /Thai/u],
  ["Καλημέρα", "", "text", /Greek/u],
  ["One word of 世界 in English", "", "text", /Han/u],
  ["The sound ə", "", "text", /letter "ə"/u],
  ["!!! ...", "", "text", /nothing to say/u],
  ["😀 👍", "en", "text", /nothing to say/u],
  ["Je voudrais réserver une chambre pour deux nuits, s'il vous plaît.", "en", "text", /French/u],
  ["Ich möchte gerne ein Zimmer für zwei Nächte reservieren, bitte.", "", "text", /German/u],
  ["El veloz murciélago hindú comía feliz cardillo y kiwi.", "", "text", /Spanish/u],
  ["La sua macchina nuova è molto veloce e bella.", "", "text", /Italian/u],
  ["Szybki brązowy lis przeskoczył nad leniwym psem.", "", "text", /Polish/u],
  ["Tôi muốn đi chợ vào sáng mai", "", "text", /Vietnamese/u]
]

const spoken: ReadonlyArray<readonly [text: string, language?: string]> = [
  ["Hello"],
  ["Hello", "en-GB"],
  ["42"],
  ["$3.50"],
  ["π"],
  ["50 %"],
  ["Guten Tag"],
  ["Bonjour"],
  ["Jean-Claude Van Damme joue"],
  ["José Núñez, Zoë Müller and Łukasz Żak"],
  ["John Smith, Peter Müller, Angela Merkel, François Hollande, Guadalajara"],
  ["Schadenfreude, doppelgänger, zeitgeist"],
  ["A café, a naïve façade and a résumé."],
  ["Buy milk, eggs, bread, cheese, butter, apples and pears"],
  ["rice noodles cooked overnight taste wonderful"],
  ["buzz fizz jazz quartz vex nymph waltz sphinx"],
  ["asdf qwer zxcv uiop hjkl vbnm qwer"],
  ["The French say that la vie est belle, and so it is."],
  ["🙂 Hi there 👋"],
  ["5 µm at 20 °C, ½ of it — α and β"],
  ["Four score and seven years ago our fathers brought forth on this continent a new nation"]
]

describe("an English voice", () => {
  for (const [text, language, field, names] of refused) {
    it(`refuses ${JSON.stringify(text)} as "${language}", naming ${names.source}`, async () => {
      const details = (await refusal(text, language))?.details ?? []
      assert.deepEqual(details.map((detail) => detail.field), [field])
      assert.match(details[0]!.message, names)
    })
  }
  for (const [text, language = ""] of spoken) {
    it(`takes ${JSON.stringify(text)} as "${language}"`, async () =>
      assert.equal((await refusal(text, language))?.details[0]?.message, undefined))
  }
})
