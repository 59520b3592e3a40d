import { describe, it } from "@effect/vitest"
import { Schema, SchemaIssue } from "effect"
import assert from "node:assert/strict"
import { codePoints, SpeakRequest, textCodePointsMax } from "../../src/domain/SpeakRequest.ts"

const decode = Schema.decodeUnknownResult(SpeakRequest)
const format = SchemaIssue.makeFormatterStandardSchemaV1()

const fields = (body: unknown) => {
  const result = decode(body, { errors: "all", onExcessProperty: "error" })
  return result._tag === "Success"
    ? []
    : format(result.failure.issue).issues.map(({ path }) => path?.map(String).join("."))
}

const good = { text: "Hello.", voice_id: "vox_flite_awb" }

describe("SpeakRequest", () => {
  it("fills in the contract's defaults", () => {
    const result = decode(good)
    assert.equal(result._tag, "Success")
    assert.deepEqual(result._tag === "Success" && result.success, {
      text: "Hello.",
      voiceId: "vox_flite_awb",
      responseFormat: "mp3",
      backendPreference: "any",
      forceAsync: false,
      timestamps: "none"
    })
  })

  it.each([
    ["nothing at all", {}, ["text", "voice_id"]],
    ["an unknown field", { ...good, vioce: 1 }, ["vioce"]],
    ["empty text", { ...good, text: "" }, ["text"]],
    ["white space for text", { ...good, text: " \n\u2003" }, ["text"]],
    ["one code point too many", { ...good, text: "a".repeat(textCodePointsMax + 1) }, ["text"]],
    ["a format that does not exist", { ...good, response_format: "aac" }, ["response_format"]],
    ["a rate that the format cannot carry", { ...good, response_format: "opus", sample_rate: 44100 }, ["sample_rate"]],
    ["a rate that telephony does not know", { ...good, response_format: "mulaw", sample_rate: 22050 }, ["sample_rate"]],
    ["a rate of nobody", { ...good, sample_rate: 12345 }, ["sample_rate"]],
    ["speech too fast", { ...good, speed: 2.01 }, ["speed"]],
    ["a language that is none", { ...good, language_hint: "english" }, ["language_hint"]],
    ["a voice id of another kind", { ...good, voice_id: "job_01" }, ["voice_id"]],
    ["seventeen tags", { ...good, tags: Array.from({ length: 17 }, (_, i) => `t${i}`) }, ["tags"]],
    ["a target without a share", { ...good, save_to: {} }, ["save_to.share_id"]]
  ])("refuses %s and names the field", (_, body, expected) => assert.deepEqual(fields(body), expected))

  it.each([
    ["the longest text, in characters beyond the basic plane", { ...good, text: "😀".repeat(textCodePointsMax) }],
    ["telephony at 8 kHz", { ...good, response_format: "alaw", sample_rate: 8000 }],
    ["every parameter", { ...good, speed: 0.5, cfg_value: 2, seed: 7, warmup_trim_ms: 40, instructions: "softly" }]
  ])("takes %s", (_, body) => assert.deepEqual(fields(body), []))
})

describe("codePoints", () => {
  it.prop("counts as the language itself does", [Schema.String], ([text]) => {
    assert.equal(codePoints(text), [...text].length)
  })

  it.each(["", "a", "😀", "\ud83d", "\ude00\ud83d", "e\u0301"])("counts %j, whole or broken", (text) => {
    assert.equal(codePoints(text), [...text].length)
  })
})
