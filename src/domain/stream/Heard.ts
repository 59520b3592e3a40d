/** Which text a listener has heard at a moment, by word times where the engine gave them, else by its share of the letters. */
import type { SpokenWord } from "../PcmChunk.ts"
import { codePoints } from "../SpeakRequest.ts"
import { estimate } from "../WordTimes.ts"
import type { StreamWord } from "./ServerFrame.ts"

/** A part of the text that was given to a backend. */
export interface SpokenSegment {
  readonly utterance: number
  readonly text: string
  /** Code point offsets into all text sent. */
  readonly start: number
  readonly end: number
  /** Stream time. */
  readonly startMs: number
  /** Stream time of what has been made of it so far, and whether that is all. */
  endMs: number
  whole: boolean
  /** The engine's own, in stream time. */
  readonly words: Array<StreamWord>
}

export interface Heard {
  readonly heardText: string
  readonly unheardText: string
  readonly heardChars: number
  readonly confidence: "aligned" | "estimated"
}

/** About what a code point takes to say, for a part whose length is not known yet; ms. */
const codePointMillis = 65

/**
 * What was heard at `atMs`, from the beginning of the utterance that was being heard then. A word counts once it has been
 * heard to its end. `rest`: the text behind the segments, not spoken at all; `restStart`: its offset.
 */
export const heardAt = (
  segments: ReadonlyArray<SpokenSegment>,
  rest: string,
  restStart: number,
  atMs: number
): Heard => {
  let current = segments.findLastIndex((segment) => segment.startMs < atMs)
  if (current === -1) current = 0
  const utterance = segments[current]?.utterance
  const from = segments.findIndex((segment) => segment.utterance === utterance)
  let heardText = ""
  let unheardText = ""
  let heardChars = segments[Math.max(from, 0)]?.start ?? restStart
  let confidence: Heard["confidence"] = "estimated"
  for (let i = Math.max(from, 0); i < segments.length; i++) {
    const segment = segments[i]!
    const units = i > current ? 0 : heardUnits(segment, atMs)
    heardText += segment.text.slice(0, units)
    unheardText += segment.text.slice(units)
    if (i <= current) {
      heardChars = segment.start + codePoints(segment.text.slice(0, units))
      confidence = segment.words.length > 0 ? "aligned" : "estimated"
    }
  }
  return { heardText, unheardText: unheardText + rest, heardChars, confidence }
}

/** Code units of the segment's text that were heard. */
const heardUnits = (segment: SpokenSegment, atMs: number): number => {
  const { endMs, startMs, text, whole, words } = segment
  if (atMs <= startMs) return 0
  if (whole && atMs >= endMs) return text.length
  const native = words.length > 0
  const length = whole ? endMs - startMs : Math.max(endMs - startMs, codePoints(text) * codePointMillis)
  const place = placer(text, segment.start)
  const timed = native
    ? words
    : estimate(text, length).map((word) =>
      place({ ...word, startMs: word.startMs + startMs, endMs: word.endMs + startMs })
    )
  const heard = timed.findLast((word) => word.endMs <= atMs)
  if (heard === undefined) return 0
  // White space behind the last word goes with it.
  const units = unitsOf(text, heard.chars[1] - segment.start)
  return units + (/^\s+/u.exec(text.slice(units))?.[0].length ?? 0)
}

/** Code points → code units, from the beginning of a text. */
const unitsOf = (text: string, points: number): number => {
  let units = 0
  for (let i = 0; i < points && units < text.length; i++) units += text.codePointAt(units)! > 0xffff ? 2 : 1
  return units
}

/**
 * Says where in a text its words are, one after the other. `start`: the text's own offset, in code points. A word that is
 * not there as it stands (an engine may write it out) is an empty place behind the last.
 */
export const placer = (text: string, start: number) => {
  let units = 0
  let points = start
  return ({ endMs, source, startMs, text: word }: SpokenWord): StreamWord => {
    const at = word === "" ? -1 : text.indexOf(word, units)
    if (at !== -1) {
      points += codePoints(text.slice(units, at))
      units = at
    }
    const from = points
    if (at !== -1) {
      points += codePoints(word)
      units += word.length
    }
    return { text: word, startMs, endMs, chars: [from, points], source }
  }
}
