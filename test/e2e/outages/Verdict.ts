/** Whether what a caller got is what it may get: the very audio of its text in its voice, or a code of the contract. */
import assert from "node:assert/strict"
import { meanings } from "../../../src/domain/Failure.ts"
import type { Code } from "../../../src/domain/Failure.ts"
import { sentenceEnds } from "../../../src/services/Sentences.ts"
import { markerSpeech } from "../../programs/markerSpeech.ts"
import type { Call } from "./Call.ts"
import { speakerOf } from "./Cast.ts"

/** A row of the ledger. */
export interface Row {
  readonly synthesis_id: string
  readonly tenant_id: string
  readonly voice_id: string
  readonly backend: string
  readonly node_id: string | null
  readonly outcome: string
  readonly error_code: string | null
  readonly routing: string
  readonly first_audio_ms: number | null
  readonly total_ms: number
  readonly created_at: number
}

export const outcomes = [
  "completed on A",
  "completed on B",
  "taken over",
  "went on at B",
  "broken",
  "UNAVAILABLE",
  "FAILED",
  "TIMEOUT",
  "SATURATED"
] as const
export type Outcome = (typeof outcomes)[number]

/** What may stand in the way of a call here; anything else is a bug. */
const refusals: Record<string, Outcome> = {
  SCAISPEAK_BACKEND_UNAVAILABLE: "UNAVAILABLE",
  SCAISPEAK_BACKEND_FAILED: "FAILED",
  SCAISPEAK_BACKEND_TIMEOUT: "TIMEOUT",
  SCAISPEAK_BACKEND_SATURATED: "SATURATED"
}

/** What a node says undisturbed, by speaker and text. */
export type References = (speaker: string, text: string) => Buffer

/** Fails when the reply is none that the caller may get. `row`: its record, where there is one. */
export const judge = (call: Call, row: Row | undefined, reference: References): Outcome => {
  const { caller } = call
  const who = `${caller.tenant} in ${caller.voice}, ${call.synthesisId}: ${row?.routing}`
  if (call.status !== 200) {
    const outcome = refusals[call.code ?? ""]
    assert.ok(outcome !== undefined, `${call.code} is no answer to an outage`)
    assert.equal(call.status, meanings[call.code as Code].status)
    return outcome
  }
  assert.ok(row !== undefined, `a call without a record: ${who}`)
  assert.equal(row.tenant_id, caller.tenant)
  assert.equal(row.outcome, call.broken ? "failed" : "completed", who)
  const speaker = speakerOf(caller.voice, call.backend as "A" | "B")
  assert.ok(speaker !== undefined, `${call.backend} cannot speak this voice: ${who}`)
  const whole = call.backend === "A" ? reference(speaker, caller.text) : markerSpeech(speaker, caller.text).pcm
  const spliced = row.routing.includes("with the next sentence")
  if (call.broken) {
    assert.ok((row.error_code ?? "") in refusals, who)
    const begins = isPrefix(call.bytes, whole) || (spliced && goesOnAtB(call, whole, isPrefix))
    assert.ok(begins, `not the beginning of its text in its voice: ${who}`)
    return "broken"
  }
  if (spliced) {
    assert.ok(goesOnAtB(call, whole, (rest, all) => rest.equals(all)), `not the rest of its text in its voice: ${who}`)
    return "went on at B"
  }
  const same = call.bytes.equals(whole)
  assert.ok(same, `${call.bytes.length} bytes for ${whole.length}, not its text in its voice: ${who}`)
  return row.routing.includes("without a seam")
    ? "taken over"
    : call.backend === "A"
    ? "completed on A"
    : "completed on B"
}

const isPrefix = (bytes: Buffer, whole: Buffer) =>
  bytes.length <= whole.length && bytes.equals(whole.subarray(0, bytes.length))

/** Some beginning of A's speech, and then the relay's of everything from a later sentence on. */
const goesOnAtB = (
  { bytes, caller: { text, voice } }: Call,
  whole: Buffer,
  fits: (rest: Buffer, all: Buffer) => boolean
): boolean => {
  let same = 0
  while (same < bytes.length && bytes[same] === whole[same]) same++
  return sentenceEnds(text, "en").some((end) => {
    const { pcm } = markerSpeech(speakerOf(voice, "B")!, text.slice(end))
    // The first samples of the two may happen to be the same.
    return pcm.length > 0 && [0, 2, 4].some((by) => fits(bytes.subarray(same - (same % 2) - by), pcm))
  })
}
