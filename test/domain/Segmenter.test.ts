import { describe, it } from "@effect/vitest"
import { Schema } from "effect"
import assert from "node:assert/strict"
import { make, type Options, type Segment } from "../../src/domain/Segmenter.ts"
import { cases, textOf } from "./segmenterCases.ts"

const sentencesOnly: Options = { firstClause: Infinity, shortest: 0 }

/** Pushes `text` cut into deltas of these many code units, over and over. What a flush gives is set apart. */
const divided = (text: string, sizes: ReadonlyArray<number>, language = "en", options?: Options) => {
  const segmenter = make(language, options)
  const given: Array<Segment> = []
  for (let at = 0, turn = 0; at < text.length; turn++) {
    const size = sizes[turn % sizes.length]!
    given.push(...segmenter.push(text.slice(at, at + size)))
    at += size
    assert.equal(given.map((segment) => segment.text).join("") + segmenter.pending, text.slice(0, at))
  }
  return { given, rest: segmenter.flush() }
}

const segmentsOf = (text: string, language?: string, options?: Options) => {
  const { given, rest } = divided(text, [text.length || 1], language, options)
  return [...given, ...rest]
}

const marked = (segments: ReadonlyArray<Segment>) => segments.map(({ text }) => text).join("¦")

describe("sentences end where a reader would end them", () => {
  for (const [kind, language, text] of cases) {
    it(`${kind}, ${language}: ${JSON.stringify(text)}`, () =>
      assert.equal(marked(segmentsOf(textOf(text), language, sentencesOnly)), text))
  }
})

describe("however a text is divided, its segments are the same", () => {
  it("in every two parts of every case, and in single code units", () => {
    for (const options of [sentencesOnly, {}, { longest: 7 }]) {
      for (const [, language, text] of cases) {
        const whole = textOf(text)
        const wanted = divided(whole, [1], language, options)
        for (let at = 1; at < whole.length; at++) {
          assert.deepEqual(divided(whole, [at, whole.length], language, options), wanted)
        }
      }
    }
  })

  const characters =
    " .!?\"'()[]<>/«»„“”。！？」「，、—-…:;,*_#1234567890\n\r\t\u00a0\u200d\ufe0f\u0301aAbIzéßЖд中あ한ไกאبक।؟។"
  const hostile = [
    ...characters,
    "\ud83d",
    "\ude00",
    "👩‍👩‍👧",
    "🇩🇪",
    "1️⃣",
    "👍🏽",
    ...("Dr. |e.g.|U.S.|3.14|z. B.|Nr.|etc.|The |Der |http://a.b/?c=d.|<p>|</p>|<b a='.'>|\n\n|\n- |\n1. |\n# |. |! |... |" +
      "wordword |Sentence here. |中文中文中文|aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").split("|")
  ]
  const Text = Schema.Array(Schema.Literals(hostile)).check(Schema.isMaxLength(80))
  const Sizes = Schema.NonEmptyArray(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })))
  const Language = Schema.Literals(["en", "de", "fr", "ja", "th", "el", "hy", "xx"])
  const Limits = Schema.Struct({
    longest: Schema.Literals([2, 3, 10, 60, 400]),
    firstClause: Schema.Literals([1, 16, 1000]),
    shortest: Schema.Literals([0, 12])
  })

  it.prop(
    "from any characters, with whatever limits",
    [Text, Sizes, Language, Limits],
    ([parts, sizes, language, options]) => {
      const text = parts.join("")
      const found = divided(text, sizes, language, options)
      assert.deepEqual(found, divided(text, [1], language, options))
      assert.deepEqual(found, divided(text, [text.length || 1], language, options))

      const segments = [...found.given, ...found.rest]
      assert.equal(segments.map((segment) => segment.text).join(""), text)
      let at = 0
      for (const segment of segments) {
        const length = [...segment.text].length
        assert.ok(length > 0 && length <= options.longest)
        assert.deepEqual([segment.start, segment.end], [at, at + length])
        at = segment.end
      }
      if ([...text].length <= options.longest) assert.ok(segments.slice(0, -1).every(({ sayable }) => sayable))
      // Markup says nothing, whatever its letters.
      if (!text.includes("<")) {
        for (const { sayable, text } of segments) assert.equal(sayable, /[\p{L}\p{N}\p{Sc}\p{Sm}%&@#°]/u.test(text))
      }
    },
    { arbitrary: { runs: 1500, size: 60 } }
  )
})

describe("a segment is given out by the code point that settles its end", () => {
  const table: ReadonlyArray<readonly [language: string, before: string, settling: string]> = [
    ["en", "It is great.", " "],
    ["en", "It is good. ", "T"],
    ["en", "Is it?", " "],
    ["en", "It is so. ", "T"],
    ["en", "He said \"go now.\" ", "T"],
    ["en", "It is so...", " T"],
    ["en", "I like the U.S. He", " "],
    ["en", "A title\n", "\n"],
    ["en", "It is good.\n", "\n"],
    ["de", "Er kommt am 3. Dann", " "],
    ["zh", "你好。", "我"],
    ["zh", "“你好。”", "我"],
    ["hi", "यह एक है।", " "],
    ["ar", "كيف حالك؟", " "],
    ["en", "- An item\n", "T"],
    ["en", "The steps are\n1.", " "]
  ]
  for (const [language, before, settling] of table) {
    it(`${language}: ${JSON.stringify(before)} by ${JSON.stringify(settling)}`, () => {
      const segmenter = make(language)
      const early = settling.slice(0, -1)
      assert.deepEqual(segmenter.push(before + early), [])
      assert.equal(segmenter.push(settling.slice(-1)).length, 1)
    })
  }
})

describe("the first segment of an utterance", () => {
  const text = "In the early morning, when it was cold, we left. In the early evening, when it was dark, we came."

  it("ends at a clause, later ones at sentences", () =>
    assert.equal(
      marked(segmentsOf(text)),
      "In the early morning, ¦when it was cold, we left. ¦In the early evening, when it was dark, we came."
    ))

  it("is no single word", () => assert.equal(segmentsOf("Well, of course, that is so.").length, 1))

  it("ends at a full-width comma, and where Thai has a space", () => {
    assert.equal(marked(segmentsOf("今天天气很好，我们去公园。", "zh")), "今天天气很好，¦我们去公园。")
    assert.equal(segmentsOf("ผมชอบกินข้าวผัดกุ้งมาก แต่วันนี้ไม่มี", "th").length, 2)
  })

  it("comes again after a flush and after a reset", () => {
    const segmenter = make("en")
    const utterance = "In the early morning, we left."
    for (const end of [segmenter.flush, segmenter.reset]) {
      assert.equal(marked(segmenter.push(utterance)), "In the early morning, ")
      end()
    }
    assert.deepEqual(segmenter.push(utterance).map(({ end, start }) => [start, end]), [[60, 82]])
  })
})

describe("later segments", () => {
  it("hold a very short sentence together with the next, not across paragraphs", () => {
    assert.equal(
      marked(segmentsOf("Hi. I am over here. Yes. It was a long way. No.\n\nThat was all of it.")),
      "Hi. ¦I am over here. Yes. ¦It was a long way. ¦No.\n\n¦That was all of it."
    )
  })

  it("are lines of a list, however short", () =>
    assert.equal(
      marked(segmentsOf("We need:\n- Milk\n- Eggs\n\nThat is it.")),
      "We need:\n¦- Milk\n¦- Eggs\n\n¦That is it."
    ))

  it("say what the listener hears after them", () => {
    const pauses = segmentsOf("In the early morning, we left the house. Then we came.\n\nThe end.").map(({ pause }) =>
      pause
    )
    assert.deepEqual(pauses, ["clause", "sentence", "paragraph", "sentence"])
  })
})

describe("a text that is too long to be said at once", () => {
  const longest = 40

  it("ends after a clause, else after a word", () => {
    assert.equal(
      marked(segmentsOf("one two three four, five six seven eight nine ten eleven", "en", { longest })),
      "one two three four, ¦five six seven eight nine ten eleven"
    )
    assert.equal(
      marked(segmentsOf("one two three four five six seven eight nine ten eleven", "en", { longest })),
      "one two three four five six seven eight ¦nine ten eleven"
    )
  })

  it("is not cut within a grapheme", () => {
    const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" })
    for (const grapheme of ["👨‍👩‍👧‍👦", "e\u0301", "🇩🇪", "각", "नि"]) {
      const text = `a${grapheme.repeat(100)}`
      const ends = new Set([...graphemes.segment(text)].map(({ index }) => index))
      let at = 0
      for (const { text: part } of segmentsOf(text, "en", { longest, firstClause: Infinity })) {
        assert.ok(ends.has(at), `${grapheme} is cut`)
        at += part.length
      }
    }
  })

  for (
    const unit of [
      "a",
      "word ",
      "clause, ",
      "ไทย",
      "中",
      "😀",
      " ",
      "\n",
      ".",
      "<",
      "<a ",
      "\"",
      "1. ",
      "U.S. A",
      "x. a "
    ]
  ) {
    it(`takes time in proportion and little room: ${JSON.stringify(unit)}`, () => {
      const perCodePoint = (length: number) => {
        const text = unit.repeat(Math.ceil(length / unit.length))
        const segmenter = make("en")
        let pendingMax = 0
        const began = performance.now()
        for (let at = 0; at < text.length; at += 3) {
          segmenter.push(text.slice(at, at + 3))
          if (at % 999 === 0) pendingMax = Math.max(pendingMax, segmenter.pending.length)
        }
        assert.ok(pendingMax <= 2 * 400)
        return (performance.now() - began) / length
      }
      perCodePoint(5000)
      const short = Math.min(...[1, 2, 3, 4].map(() => perCodePoint(5000)))
      // A quadratic one would take 40 times as long for each.
      assert.ok(perCodePoint(200_000) < 15 * short)
    })
  }
})

it("takes an empty delta, gives nothing for an empty utterance, and tells when there is nothing to say", () => {
  const segmenter = make("en")
  assert.deepEqual([segmenter.push(""), segmenter.flush()], [[], []])
  segmenter.push(" … 😀")
  assert.deepEqual(segmenter.flush().map(({ sayable }) => sayable), [false])
})
