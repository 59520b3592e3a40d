/**
 * How a long text is cut into segments: at sentence ends only, each of about a minute of speech, a chapter's heading at the
 * beginning of one.
 *
 * A heading is a paragraph of one line, of at most 80 code units, that is a Markdown heading (`# …`); begins with Chapter,
 * Part, Book, Section, Act, Scene or Appendix and a number; is Prologue, Epilogue, Preface, Foreword, Introduction,
 * Afterword or Appendix; or is a Roman numeral, alone or with a stop and a title. Anything else is text: a line in capitals
 * may as well be a shout.
 */
import type { Segment } from "../domain/Job.ts"
import { sentencesOf } from "./Sentences.ts"

/** Code units; a sentence that would pass it begins the next segment. */
const segmentLength = 800
const headingLengthMax = 80

const paragraphs = /[^\n]*(?:\n(?![^\S\n]*\n)[^\n]*)*(?:\n[^\S\n]*)*/gu
const markdown = /^#{1,6}\s+(?<title>\S.*?)\s*#*$/u
const numbered =
  /^(?:chapter|part|book|section|act|scene|appendix)\s+(?:\d+|[ivxlc]+|[a-z]|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b(?!.*[.!?,;]$)/iu
const named = /^(?:prologue|epilogue|preface|foreword|introduction|afterword|appendix)[.:]?$/iu
const roman = /^[IVXLC]+(?:$|\.(?:$|\s+\S))/u
const sayable = /[\p{L}\p{N}]/u

/** Undefined: the paragraph is no heading. */
export const titleOf = (paragraph: string): string | undefined => {
  const line = paragraph.trim()
  if (line.length > headingLengthMax || line.includes("\n") || !sayable.test(line)) return undefined
  const title = markdown.exec(line)?.groups?.["title"]
  if (title !== undefined) return title
  return [numbered, named, roman].some((form) => form.test(line)) ? line : undefined
}

/** Yields what is sure; the text is read as it is pulled. The ends rise, and the last one is the text's. */
export function* segmentsOf(text: string, language: string): Generator<Segment> {
  let start = 0
  let end = 0
  let title: string | undefined
  /** The segment holds something to say. */
  let speaks = false
  const finish = (endsParagraph: boolean): Segment => ({
    end,
    ...(title === undefined ? {} : { title }),
    ...(endsParagraph ? { endsParagraph: true as const } : {})
  })
  for (const [paragraph] of text.matchAll(paragraphs)) {
    if (paragraph === "") continue
    const heading = titleOf(paragraph)
    if (heading !== undefined) {
      if (speaks) {
        yield finish(true)
        start = end
      }
      title = heading
      speaks = false
    }
    let first = true
    for (const sentence of sentencesOf(paragraph, language)) {
      if (speaks && end + sentence.trimEnd().length - start > segmentLength && sayable.test(sentence)) {
        yield finish(first)
        start = end
        title = undefined
        speaks = false
      }
      end += sentence.length
      speaks ||= sayable.test(sentence)
      first = false
    }
  }
  if (end > start) yield finish(true)
}
