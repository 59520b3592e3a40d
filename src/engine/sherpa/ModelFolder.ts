/**
 * Finds out which model lies in a folder, and under which file each part of it: the families of sherpa-onnx 1.13 and the
 * names that its released models have. Pure: it sees a list of names.
 *
 * Of several precisions of a part the plainest name is taken, since the others are derived from it.
 */

export type Family = "vits" | "matcha" | "kokoro" | "kitten" | "supertonic" | "zipvoice" | "pocket"

export interface FoundModel {
  readonly family: Family
  /** Keys of the family's configuration; names in the folder, several joined by commas. */
  readonly files: Readonly<Record<string, string>>
  /** Text normalisation rules, likewise. */
  readonly rules: { readonly ruleFsts?: string; readonly ruleFars?: string }
}

interface Part {
  readonly pattern: RegExp
  readonly optional?: true
  readonly many?: true
}

const onnx = (name: string): Part => ({ pattern: new RegExp(`^(?:${name})(?:[.-](?:int8|fp16|fp32))?\\.onnx$`, "u") })
const file = (name: string): Part => ({ pattern: new RegExp(`^${name}$`, "u") })
const optional = (part: Part): Part => ({ ...part, optional: true })

const tokens = file("tokens\\.txt")
const dataDir = file("espeak-ng-data")
const lexicon = optional(file("lexicon\\.txt"))
const vocoder = onnx("vocos.*|hifigan.*|vocoder.*")

/** In this order: the first whose parts are all there. Those with parts of a name of their own come first. */
const families: Readonly<Record<Family, Readonly<Record<string, Part>>>> = {
  supertonic: {
    durationPredictor: onnx("duration_predictor"),
    textEncoder: onnx("text_encoder"),
    vectorEstimator: onnx("vector_estimator"),
    vocoder: onnx("vocoder"),
    ttsJson: file("tts\\.json"),
    unicodeIndexer: file("unicode_indexer\\.bin"),
    voiceStyle: file("voice\\.bin")
  },
  pocket: {
    lmFlow: onnx("lm_flow"),
    lmMain: onnx("lm_main"),
    encoder: onnx("encoder"),
    decoder: onnx("decoder"),
    textConditioner: onnx("text_conditioner"),
    vocabJson: file("vocab\\.json"),
    tokenScoresJson: file("token_scores\\.json")
  },
  zipvoice: {
    encoder: onnx("encoder|text_encoder"),
    decoder: onnx("decoder|fm_decoder"),
    vocoder,
    tokens,
    dataDir: optional(dataDir),
    lexicon
  },
  matcha: {
    acousticModel: onnx("model-steps-\\d+|acoustic.*|matcha.*"),
    vocoder,
    tokens,
    lexicon,
    dataDir: optional(dataDir)
  },
  // Kitten has Kokoro's files, and is released in half precision only.
  kitten: {
    model: { pattern: /^(?:.*kitten.*|model\.fp16)\.onnx$/u },
    voices: file("voices\\.bin"),
    tokens,
    dataDir
  },
  kokoro: {
    model: onnx(".+"),
    voices: file("voices\\.bin"),
    tokens,
    dataDir,
    lexicon: { pattern: /^lexicon.*\.txt$/u, optional: true, many: true }
  },
  vits: { model: onnx(".+"), tokens, lexicon, dataDir: optional(dataDir) }
}

/** `names` are the files and folders in it. The message is for an operator. */
export const findModel = (names: ReadonlyArray<string>, family?: Family): FoundModel | { readonly missing: string } => {
  const candidates = family === undefined ? (Object.keys(families) as Array<Family>) : [family]
  for (const one of candidates) {
    const files = partsOf(families[one], names)
    if (files !== undefined) return { family: one, files, rules: rulesOf(names) }
  }
  return {
    missing: family === undefined
      ? `no model of a known family (${Object.keys(families).join(", ")})`
      : `the family ${family} needs ${
        Object.entries(families[family]).filter(([, part]) => !part.optional && named(part, names).length === 0)
          .map(([key]) => key).join(", ")
      }`
  }
}

const partsOf = (
  parts: Readonly<Record<string, Part>>,
  names: ReadonlyArray<string>
): Record<string, string> | undefined => {
  const files: Record<string, string> = {}
  for (const [key, part] of Object.entries(parts)) {
    const found = named(part, names)
    if (found.length > 0) files[key] = part.many ? withoutBritish(found).join(",") : found[0]!
    else if (!part.optional) return undefined
  }
  return files
}

/** The plainest first. */
const named = ({ pattern }: Part, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.filter((name) => pattern.test(name)).sort((a, b) => a.length - b.length || (a < b ? -1 : 1))

/** Two English lexicons contradict each other. */
const withoutBritish = (lexicons: ReadonlyArray<string>): ReadonlyArray<string> =>
  lexicons.some((name) => name.includes("us-en")) ? lexicons.filter((name) => !name.includes("gb-en")) : lexicons

const rulesOf = (names: ReadonlyArray<string>): FoundModel["rules"] => {
  const [fsts, fars] = [".fst", ".far"].map((end) => names.filter((name) => name.endsWith(end)).sort().join(","))
  return { ...(fsts ? { ruleFsts: fsts } : {}), ...(fars ? { ruleFars: fars } : {}) }
}

const languageNames = new Intl.DisplayNames("en", { type: "language", fallback: "none" })

/**
 * ISO 639-1 codes in the name of a folder or file: `vits-piper-en_GB-cori` is English, `kokoro-multi-lang-v1_0` says
 * nothing. Codes are in lower case and stand alone; `my` is a word before it is Burmese.
 */
export const languagesIn = (name: string): ReadonlyArray<string> => [
  ...new Set(
    name.split(/[-_.\s]/u).filter((part) =>
      /^[a-z]{2}$/u.test(part) && part !== "my" && languageNames.of(part) !== undefined
    )
  )
]
