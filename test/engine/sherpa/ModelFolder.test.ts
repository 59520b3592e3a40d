/** The released models of sherpa-onnx, as they lie in their folders. */
import assert from "node:assert/strict"
import { describe, it } from "vitest"
import { type Family, findModel, languagesIn } from "../../../src/engine/sherpa/ModelFolder.ts"

interface Case {
  readonly folder: string
  readonly names: string
  readonly said?: Family
  readonly family: Family
  readonly files: Record<string, string>
  readonly rules?: Record<string, string>
  readonly languages: ReadonlyArray<string>
}

const cases: ReadonlyArray<Case> = [
  {
    folder: "vits-piper-en_GB-cori-medium",
    names: "MODEL_CARD en_GB-cori-medium.onnx en_GB-cori-medium.onnx.json espeak-ng-data tokens.txt",
    family: "vits",
    files: { model: "en_GB-cori-medium.onnx", tokens: "tokens.txt", dataDir: "espeak-ng-data" },
    languages: ["en"]
  },
  {
    folder: "sherpa-onnx-vits-zh-ll",
    names: "date.fst dict lexicon.txt model.int8.onnx model.onnx number.fst phone.fst rule.far tokens.txt",
    family: "vits",
    files: { model: "model.onnx", tokens: "tokens.txt", lexicon: "lexicon.txt" },
    rules: { ruleFsts: "date.fst,number.fst,phone.fst", ruleFars: "rule.far" },
    languages: ["zh"]
  },
  {
    folder: "vits-coqui-de-css10",
    names: "model.onnx tokens.txt",
    family: "vits",
    files: { model: "model.onnx", tokens: "tokens.txt" },
    languages: ["de"]
  },
  {
    folder: "matcha-icefall-en_US-ljspeech",
    names: "espeak-ng-data model-steps-3.onnx tokens.txt vocos-22khz-univ.onnx",
    family: "matcha",
    files: {
      acousticModel: "model-steps-3.onnx",
      vocoder: "vocos-22khz-univ.onnx",
      tokens: "tokens.txt",
      dataDir: "espeak-ng-data"
    },
    languages: ["en"]
  },
  {
    folder: "kokoro-multi-lang-v1_0",
    names: "espeak-ng-data lexicon-gb-en.txt lexicon-us-en.txt lexicon-zh.txt model.onnx tokens.txt voices.bin",
    family: "kokoro",
    files: {
      model: "model.onnx",
      voices: "voices.bin",
      tokens: "tokens.txt",
      dataDir: "espeak-ng-data",
      lexicon: "lexicon-zh.txt,lexicon-us-en.txt"
    },
    languages: []
  },
  {
    folder: "kitten-nano-en-v0_1-fp16",
    names: "espeak-ng-data model.fp16.onnx tokens.txt voices.bin",
    family: "kitten",
    files: { model: "model.fp16.onnx", voices: "voices.bin", tokens: "tokens.txt", dataDir: "espeak-ng-data" },
    languages: ["en"]
  },
  {
    folder: "my-kitten",
    names: "espeak-ng-data kitten_mini.onnx tokens.txt voices.bin",
    family: "kitten",
    files: { model: "kitten_mini.onnx", voices: "voices.bin", tokens: "tokens.txt", dataDir: "espeak-ng-data" },
    languages: []
  },
  {
    folder: "kokoro-en-half",
    names: "espeak-ng-data model.fp16.onnx tokens.txt voices.bin",
    said: "kokoro",
    family: "kokoro",
    files: { model: "model.fp16.onnx", voices: "voices.bin", tokens: "tokens.txt", dataDir: "espeak-ng-data" },
    languages: ["en"]
  },
  {
    folder: "sherpa-onnx-supertonic-3-tts-int8",
    names:
      "duration_predictor.int8.onnx text_encoder.int8.onnx tts.json unicode_indexer.bin vector_estimator.int8.onnx " +
      "vocoder.int8.onnx voice.bin",
    family: "supertonic",
    files: {
      durationPredictor: "duration_predictor.int8.onnx",
      textEncoder: "text_encoder.int8.onnx",
      vectorEstimator: "vector_estimator.int8.onnx",
      vocoder: "vocoder.int8.onnx",
      ttsJson: "tts.json",
      unicodeIndexer: "unicode_indexer.bin",
      voiceStyle: "voice.bin"
    },
    languages: []
  },
  {
    folder: "sherpa-onnx-pocket-tts-int8",
    names: "decoder.int8.onnx encoder.onnx lm_flow.int8.onnx lm_main.int8.onnx test_wavs text_conditioner.onnx " +
      "token_scores.json vocab.json",
    family: "pocket",
    files: {
      lmFlow: "lm_flow.int8.onnx",
      lmMain: "lm_main.int8.onnx",
      encoder: "encoder.onnx",
      decoder: "decoder.int8.onnx",
      textConditioner: "text_conditioner.onnx",
      vocabJson: "vocab.json",
      tokenScoresJson: "token_scores.json"
    },
    languages: []
  },
  {
    folder: "sherpa-onnx-zipvoice-distill-int8-zh-en-emilia",
    names: "decoder.int8.onnx encoder.int8.onnx espeak-ng-data lexicon.txt tokens.txt vocos_24khz.onnx",
    family: "zipvoice",
    files: {
      encoder: "encoder.int8.onnx",
      decoder: "decoder.int8.onnx",
      vocoder: "vocos_24khz.onnx",
      tokens: "tokens.txt",
      dataDir: "espeak-ng-data",
      lexicon: "lexicon.txt"
    },
    languages: ["zh", "en"]
  }
]

describe("a folder with a model", () => {
  for (const { family, files, folder, languages, names, rules = {}, said } of cases) {
    it(`is known for ${family}: ${folder}`, () => {
      assert.deepEqual(findModel(names.split(" "), said), { family, files, rules })
      assert.deepEqual(languagesIn(folder), languages)
    })
  }

  it("says what is missing", () => {
    const missing = (names: ReadonlyArray<string>, said?: Family) => {
      const found = findModel(names, said)
      return "missing" in found ? found.missing : ""
    }
    assert.match(missing(["README.md"]), /no model of a known family \(supertonic, pocket, /u)
    assert.equal(missing(["model.onnx", "tokens.txt"], "kokoro"), "the family kokoro needs voices, dataDir")
  })
})
