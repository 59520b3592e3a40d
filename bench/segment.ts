/**
 * The segmenter against sentencex, which cuts whole texts.
 *
 * 1. The table of `test/domain/segmenterCases.ts`: texts of each kind whose sentences are all found and no others.
 * 2. How much of a sentence's text a caller waits for: code points from a sentence's last to the one that gives it out.
 * 3. Code points a second, in deltas of 3 code units and whole, and sentencex over the whole, in one process by turns. Medians.
 */
import { segment } from "sentencex"
import { make, type Options } from "../src/domain/Segmenter.ts"
import { cases, textOf } from "../test/domain/segmenterCases.ts"

const deltaLength = 3
const rounds = 9
const lengthWanted = 200_000
const sentencesOnly: Options = { firstClause: Infinity, shortest: 0 }

const inDeltas = (text: string, language: string, length: number, options?: Options) => {
  const segmenter = make(language, options)
  const found: Array<string> = []
  for (let at = 0; at < text.length; at += length) {
    for (const segment of segmenter.push(text.slice(at, at + length))) found.push(segment.text)
  }
  for (const segment of segmenter.flush()) found.push(segment.text)
  return found
}

/** White space and what holds nothing to say count for neither. */
const bare = (sentences: ReadonlyArray<string>) =>
  sentences.map((text) => text.trim()).filter((text) => text !== "").join("¦")

const accuracy = () => {
  const kinds = Map.groupBy(cases, ([kind]) => kind)
  console.log("kind           texts  segmenter  sentencex")
  const totals = [0, 0, 0]
  for (const [kind, rows] of kinds) {
    const right = (cut: (language: string, text: string) => ReadonlyArray<string>) =>
      rows.filter(([, language, text]) => bare(cut(language, textOf(text))) === bare(text.split("¦"))).length
    const row = [
      rows.length,
      right((language, text) => inDeltas(text, language, deltaLength, sentencesOnly)),
      right(segment)
    ]
    row.forEach((count, i) => totals[i]! += count)
    print(kind, row)
  }
  print("all", totals)
  const unsettled = cases.filter(([, language, text]) => takesBack(language, textOf(text))).length
  console.log(`sentencex over a growing text takes cuts back in ${unsettled} of ${cases.length}`)
}

/** Whether sentencex, given ever more of a text, ends a sentence where it does not in the end; its last one may be open. */
const takesBack = (language: string, text: string): boolean => {
  const ends = (part: string) => {
    let end = 0
    return segment(language, part).map((sentence) => end += sentence.length)
  }
  const settled = new Set(ends(text))
  return Array.from(text, (_, at) => ends(text.slice(0, at)).slice(0, -1)).some((found) =>
    found.some((end) => !settled.has(end))
  )
}

const print = (name: string, [texts, ours, theirs]: ReadonlyArray<number>) =>
  console.log(name.padEnd(14), String(texts).padStart(5), String(ours).padStart(10), String(theirs).padStart(10))

const waits = () => {
  const counts = new Map<number, number>()
  for (const [, language, text] of cases) {
    const segmenter = make(language, sentencesOnly)
    let pushed = 0
    for (const char of textOf(text)) {
      pushed++
      for (const segment of segmenter.push(char)) {
        const said = [...segment.text.trimEnd()].length
        const wait = pushed - segment.start - said
        counts.set(wait, (counts.get(wait) ?? 0) + 1)
      }
    }
  }
  const all = [...counts.values()].reduce((sum, count) => sum + count, 0)
  console.log("\ncode points after a sentence's last mark until it is given out")
  for (const [wait, count] of [...counts].toSorted(([a], [b]) => a - b)) {
    console.log(String(wait).padStart(3), `${((100 * count) / all).toFixed(0)} %`.padStart(6))
  }
}

const median = (values: ReadonlyArray<number>) => values.toSorted((a, b) => a - b)[values.length >> 1]!

const speed = () => {
  console.log("\n                               million code points a second")
  for (const language of ["en", "de", "zh", "ar"]) {
    const sentences = cases.filter(([kind, of]) => of === language && kind !== "paragraphs" && kind !== "lists").map((
      [, , text]
    ) => textOf(text))
    const once = sentences.join(language === "zh" ? "" : " ")
    const text = once.repeat(Math.ceil(lengthWanted / once.length))
    const codePoints = [...text].length
    const ways: Record<string, () => unknown> = {
      "segmenter, deltas": () => inDeltas(text, language, deltaLength),
      "segmenter, whole": () => inDeltas(text, language, text.length),
      "sentencex, whole": () => segment(language, text)
    }
    const rates = Object.keys(ways).map(() => Array.of<number>())
    for (let round = 0; round < rounds; round++) {
      Object.values(ways).forEach((way, i) => {
        const began = performance.now()
        way()
        rates[i]!.push(codePoints / 1000 / (performance.now() - began))
      })
    }
    Object.keys(ways).forEach((name, i) =>
      console.log(`${language}  ${name}`.padEnd(30), median(rates[i]!).toFixed(1).padStart(6))
    )
  }
}

accuracy()
waits()
speed()
