/** What each family of models promises, and what sherpa-onnx is asked for. */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { ignored, refusal } from "../../../src/engine/process/Check.ts"
import type { Family } from "../../../src/engine/sherpa/ModelFolder.ts"
import { factsOf, generationOf } from "../../../src/engine/sherpa/Voices.ts"
import { Cloning, type SynthesizeRequest } from "../../../src/proto/scaiinfer/v1/audio.ts"

const facts = (family: Family, notes = {}) =>
  factsOf(family, { name: "m", version: "1", numSpeakers: 2, sampleRate: 24000 }, ["en"], notes)

const request = (voice: SynthesizeRequest["voice"], params?: SynthesizeRequest["params"]): SynthesizeRequest => ({
  requestId: "",
  engine: "sherpa",
  text: "Hello.",
  language: "en",
  voice,
  params
})
const clip = (transcript: string, pcm = new Uint8Array(4)): SynthesizeRequest["voice"] => ({
  $case: "reference",
  value: { pcm, transcript, sha256: "" }
})
const refusedField = (family: Family, voice: SynthesizeRequest["voice"]) =>
  refusal(request(voice), facts(family))?.details[0]?.field

describe("a model's voices", () => {
  it("are presets, or a reference, with its transcript where the family needs it", () => {
    type Refusals = ReadonlyArray<string | undefined>
    /** Of a preset, of a clip without its transcript, and of one with it. */
    const expected: Record<Family, Refusals> = {
      vits: [undefined, "voice", "voice"],
      matcha: [undefined, "voice", "voice"],
      kokoro: [undefined, "voice", "voice"],
      kitten: [undefined, "voice", "voice"],
      supertonic: [undefined, "voice", "voice"],
      pocket: ["voice", undefined, undefined],
      zipvoice: ["voice", "reference", undefined]
    }
    for (const [family, fields] of Object.entries(expected) as Array<[Family, Refusals]>) {
      assert.deepEqual(
        [
          refusedField(family, { $case: "presetVoice", value: "speaker-1" }),
          refusedField(family, clip("")),
          refusedField(family, clip("What I say."))
        ],
        [...fields, undefined, undefined].slice(0, 3),
        family
      )
      const { abilities, presets } = facts(family)
      assert.equal(abilities.cloning === Cloning.ZERO_SHOT, presets.length === 0, family)
    }
  })

  it("are asked for by speaker id", () => {
    const { sid, speed } = generationOf(
      request({ $case: "presetVoice", value: "bo" }, { speed: 1.5 }),
      "kokoro",
      facts("kokoro", { speakers: ["al", "bo"] })
    )
    assert.deepEqual([sid, speed], [1, 1.5])
  })

  it("are heard from samples of -1 to 1, wherever the bytes lie", () => {
    const bytes = Buffer.from([0, 0, 0, 0, 0x40, 0, 0x80]).subarray(1)
    const made = generationOf(request(clip("Two.", bytes)), "zipvoice", facts("zipvoice"))
    assert.deepEqual(
      [made.referenceAudio, made.referenceSampleRate, made.referenceText],
      [Float32Array.of(0, 0.5, -1), 16000, "Two."]
    )
  })

  it("have a pace or a seed only where the family reads them", () => {
    const params = { speed: 2, seed: 4_000_000_000, cfgValue: 1 }
    const asked = request(clip(""), params)
    assert.deepEqual(ignored(asked, facts("pocket")), ["cfg_value", "speed"])
    assert.deepEqual(ignored(asked, facts("vits")), ["cfg_value", "seed"])
    // A signed number of 32 bits.
    assert.deepEqual(generationOf(asked, "pocket", facts("pocket")).extra, { seed: 1_852_516_352 })
    assert.deepEqual(generationOf(asked, "supertonic", facts("supertonic")).extra, { seed: 1_852_516_352, lang: "en" })
  })
})
