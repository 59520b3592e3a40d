/** What may be sent again: held against a list of everything that was sent. */
import { describe, it } from "@effect/vitest"
import { Schema } from "effect"
import assert from "node:assert/strict"
import { warning } from "../../../src/domain/stream/ServerFrame.ts"
import { frameBytes, Kept } from "../../../src/stream/session/Kept.ts"
import type { OutputItem } from "../../../src/stream/StreamService.ts"

const Step = Schema.Union([
  /** Bytes of audio that are sent. */
  Schema.Struct({ bytes: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40_000 })) }),
  Schema.Struct({ frame: Schema.Literal(true) }),
  /** Goes back to behind that share of everything sent. */
  Schema.Struct({ backTo: Schema.Number.check(Schema.isBetween({ minimum: 0, maximum: 1 })) })
])
const Steps = Schema.Array(Step).check(Schema.isMinLength(50), Schema.isMaxLength(200))

const bytesPerMilli = 32

const audio = (length: number, from: number): OutputItem => ({
  _tag: "audio",
  bytes: Uint8Array.from({ length }, (_, i) => (from * 31 + i * 7) % 251)
})
const frame: OutputItem = { _tag: "frame", frame: warning("CLOSING") }

/** Of the items, from which on they have to be there. */
const firstKept = (sent: ReadonlyArray<OutputItem>): number => {
  let [bytes, audioBytes, index] = [0, 0, sent.length]
  for (; index > 0; index--) {
    const item = sent[index - 1]!
    bytes += item._tag === "audio" ? item.bytes.length : frameBytes
    audioBytes += item._tag === "audio" ? item.bytes.length : 0
    if (bytes > 1 << 20 || audioBytes / bytesPerMilli > 30_000) break
  }
  return index
}

describe("Kept", () => {
  it.prop("gives back what was sent, the last 30 s and 1 MiB of it, byte for byte", [Steps], ([steps]) => {
    const kept = new Kept((bytes) => bytes / bytesPerMilli)
    const sent: Array<OutputItem> = []
    /** Items that went to make room: going back brings none of them back. */
    let gone = 0
    for (const step of steps) {
      if ("backTo" in step) {
        const seq = Math.round(step.backTo * sent.length)
        const back = kept.takeBack(seq)
        if (seq < gone) assert.equal(back, undefined)
        else assert.deepEqual(back, sent.splice(seq))
      } else {
        const item = "bytes" in step ? audio(step.bytes, sent.length) : frame
        sent.push(item)
        kept.push(item)
        gone = Math.max(gone, firstKept(sent))
      }
    }
    assert.equal(kept.takeBack(sent.length + 1), undefined)
    kept.clear()
    assert.deepEqual(kept.takeBack(sent.length), [])
  })
})
