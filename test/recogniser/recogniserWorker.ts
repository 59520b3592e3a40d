/** The thread behind `Recogniser.ts`: one decoder, one clip at a time. */
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import { parentPort } from "node:worker_threads"
import createModule, { type Decoder } from "soundswallower"

interface Request {
  readonly id: number
  readonly pcm16k: Int16Array
  readonly vocabulary: ReadonlyArray<string>
}

/** s, on both sides: the decoder takes the first moments as background noise. */
const padSeconds = 0.25
/** -3 dBFS. */
const peakWanted = 10 ** (-3 / 20)

const packageFolder = dirname(fileURLToPath(import.meta.resolve("soundswallower")))
const module = await createModule({ modelBase: `${packageFolder}/model/` } as object)
const decoder = new module.Decoder({ loglevel: "FATAL", samprate: 16000 })
await decoder.initialize()
let grammar = ""

const hear = ({ pcm16k, vocabulary }: Request): ReadonlyArray<string> => {
  prepare(decoder, vocabulary)
  decoder.start()
  decoder.process_audio(floats(pcm16k), false, true)
  decoder.stop()
  return decoder.get_text().split(/\s+/u).filter((word) => word !== "")
}

/** Any word, any number of times. */
const prepare = (decoder: Decoder, vocabulary: ReadonlyArray<string>): void => {
  const wanted = `#JSGF V1.0; grammar words; public <words> = ( ${vocabulary.join(" | ")} )+;`
  if (wanted === grammar) return
  const unknown = vocabulary.filter((word) => !decoder.lookup_word(word))
  if (unknown.length > 0) throw new Error(`not in the recogniser's dictionary: ${unknown.join(", ")}`)
  decoder.set_grammar(wanted)
  grammar = wanted
}

const floats = (pcm: Int16Array): Float32Array => {
  const peak = pcm.reduce((max, sample) => Math.max(max, Math.abs(sample)), 1)
  const padded = new Float32Array(pcm.length + 2 * padSeconds * 16000)
  for (let i = 0; i < pcm.length; i++) padded[i + padSeconds * 16000] = (pcm[i]! / peak) * peakWanted
  return padded
}

parentPort!.on("message", (request: Request) => {
  try {
    parentPort!.postMessage({ id: request.id, words: hear(request) })
  } catch (cause) {
    parentPort!.postMessage({ id: request.id, failure: String(cause) })
  }
})
