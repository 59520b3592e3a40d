import { describe, it } from "@effect/vitest"
import assert from "node:assert/strict"
import { rateFor } from "../../../src/services/AudioEncoder.ts"

describe("rateFor", () => {
  const cases = [
    { format: "wav", source: 24000, asked: 8000, rate: 8000, because: "it was asked for" },
    { format: "mp3", source: 16000, asked: undefined, rate: 24000, because: "it is the format's own default" },
    { format: "opus", source: 22050, asked: undefined, rate: 48000, because: "it is the format's own default" },
    { format: "mulaw", source: 24000, asked: undefined, rate: 8000, because: "it is the format's own default" },
    { format: "flac", source: 22050, asked: undefined, rate: 22050, because: "it is the source's" },
    { format: "pcm", source: 32000, asked: undefined, rate: 24000, because: "it is the nearest" },
    { format: "wav", source: 96000, asked: undefined, rate: 48000, because: "it is the nearest" },
    { format: "wav", source: 12000, asked: undefined, rate: 16000, because: "it is the higher of two as near" }
  ] as const
  it.each(cases)("gives $rate Hz for $format from $source Hz, since $because", ({ asked, format, rate, source }) => {
    assert.equal(rateFor(format, source, asked), rate)
  })
})
