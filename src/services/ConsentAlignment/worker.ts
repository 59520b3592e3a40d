/**
 * The listening thread: one decoder a language, one recording at a time. Twice is listened: with the text's words in their
 * order and nothing else (forced alignment), and with them in any order among others.
 */
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { parentPort } from "node:worker_threads"
import type { Decoder, SoundSwallowerModule } from "soundswallower"
import { inOrder, wordsOf } from "../../domain/ConsentAlignment.ts"
import type { ConsentAlignment } from "../../domain/ConsentAlignment.ts"

export interface AlignJob {
  /** 16 kHz, full scale 1. */
  readonly samples: Float32Array
  readonly text: string
  readonly language: ConsentAlignment["language"]
}

/** `null`: nothing can be said. */
export type AlignMade = { readonly alignment: ConsentAlignment | null }

const rate = 16_000
/** On both sides: the decoder takes the first moments for background noise. */
const padSamples = rate / 4
/** −3 dBFS. */
const peakWanted = 0.7
/** Too few words of the text are in the dictionary to judge by. */
const knownRatioMin = 0.7
const wordsMin = 3
/** Longer texts are judged by their beginning in the second pass, whose time grows with words. */
const grammarWordsMax = 200

/** Common and unlike each other, so that a recording of something else has somewhere to go. */
const others: Record<ConsentAlignment["language"], string> = {
  en: "apple bridge candle doctor engine forest garden hammer island jacket kitchen ladder market needle orange pencil "
    + "quarter ribbon silver table umbrella village window yellow winter summer button copper dragon feather mother "
    + "number paper rabbit seven music people water money under",
  fr: "pomme pont bougie docteur moteur forêt jardin marteau île veste cuisine échelle marché aiguille orange crayon "
    + "quartier ruban argent table parapluie village fenêtre jaune hiver été bouton cuivre dragon plume mère nombre "
    + "papier lapin sept musique gens eau monnaie sous"
}
const models = { en: "en-us", fr: "fr-fr" } as const

let module: SoundSwallowerModule | undefined
const decoders = new Map<string, Decoder>()

const decoderOf = async (language: ConsentAlignment["language"]): Promise<Decoder> => {
  if (module === undefined) {
    const folder = dirname(fileURLToPath(import.meta.resolve("soundswallower")))
    const { default: createModule } = await import("soundswallower")
    module = await createModule({ modelBase: `${folder}/model/` } as object)
  }
  let decoder = decoders.get(language)
  if (decoder === undefined) {
    decoder = new module.Decoder({ loglevel: "FATAL", samprate: rate, hmm: module.get_model_path(models[language]) })
    await decoder.initialize()
    decoders.set(language, decoder)
  }
  return decoder
}

const align = async ({ language, samples, text }: AlignJob): Promise<ConsentAlignment | null> => {
  const decoder = await decoderOf(language)
  const all = wordsOf(text)
  const words = all.filter((word) => decoder.lookup_word(word))
  if (words.length < wordsMin || words.length / all.length < knownRatioMin) return null
  const sound = padded(samples)
  return {
    score: rounded(forced(decoder, words, sound)),
    language,
    words_found_ratio: rounded(found(decoder, words.slice(0, grammarWordsMax), others[language].split(" "), sound))
  }
}

const forced = (decoder: Decoder, words: ReadonlyArray<string>, sound: Float32Array): number => {
  decoder.set_align_text(words.join(" "))
  listen(decoder, sound)
  // The text was not got through to its end.
  if (!decoder.get_text()) return 0
  const segments = (decoder.get_alignment() as unknown as { readonly w: ReadonlyArray<{ t: string; p: number }> }).w
    .filter(({ t }) => !/^[<[(]/u.test(t))
  return segments.length === 0 ? 0 : segments.reduce((sum, { p }) => sum + p, 0) / segments.length
}

const found = (
  decoder: Decoder,
  words: ReadonlyArray<string>,
  others: ReadonlyArray<string>,
  sound: Float32Array
): number => {
  const known = others.filter((word) => decoder.lookup_word(word))
  const any = [...new Set([...words, ...known])].join(" | ")
  decoder.set_grammar(`#JSGF V1.0 UTF-8; grammar words; public <words> = ( ${any} )+;`)
  listen(decoder, sound)
  const heard = (decoder.get_text() ?? "").split(/\s+/u).map((word) => word.replace(/\(\d+\)$/u, ""))
  return inOrder(words, heard) / words.length
}

const listen = (decoder: Decoder, sound: Float32Array) => {
  decoder.start()
  decoder.process_audio(sound, false, true)
  decoder.stop()
}

const padded = (samples: Float32Array): Float32Array => {
  let peak = 1e-4
  for (const value of samples) peak = Math.max(peak, Math.abs(value))
  const sound = new Float32Array(samples.length + 2 * padSamples)
  for (let n = 0; n < samples.length; n++) sound[padSamples + n] = (samples[n]! / peak) * peakWanted
  return sound
}

const rounded = (value: number) => Number(Math.min(1, Math.max(0, value)).toFixed(3))

parentPort?.on("message", (job: AlignJob) => {
  align(job).then(
    (alignment) => parentPort!.postMessage({ made: { alignment } satisfies AlignMade }),
    (cause) => {
      // A decoder that has lost its way is not asked again.
      decoders.clear()
      parentPort!.postMessage({ failure: cause instanceof Error ? cause.message : String(cause) })
    }
  )
})
