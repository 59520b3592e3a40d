/**
 * The process of the engine espeak: eSpeak NG in WebAssembly, from a package under the GPL that an operator installs.
 *
 * It is loaded here and nowhere else, so that none of it is part of the program that a node is.
 */
import { readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { Cloning } from "../../proto/scaiinfer/v1/audio.ts"
import { pieces } from "../../services/Sentences.ts"
import { host } from "../process/Host.ts"
import { CannotLoad, type Model } from "../process/Model.ts"
import type { Espeak } from "./EspeakModule.ts"
import { makePlacer, utteranceOf } from "./Utterance.ts"
import { voicesOf } from "./Voices.ts"

export interface Settings {
  /** Of the package; beside ours without it. */
  readonly folder?: string | undefined
}

const packageName = "@echogarden/espeak-ng-emscripten"
const packageVersion = "0.3.5"

/** Words a minute at pace 1: espeak's own. */
const rate = 175
/**
 * Per cent. At 100 the active level of the first six Harvard sentences (see `flite/Loudness.ts`) was -18.7 dBFS in voice en,
 * -19.5 in en-us, -17.9 in de and -20.1 in fr; this brings their mean to Flite's -20.
 */
const volume = 88

const load = async (settings: Settings): Promise<Model> => {
  const { espeak, version } = await read(settings)
  const worker = new espeak.eSpeakNGWorker()
  const sampleRate = worker.get_samplerate()
  const voices = voicesOf(worker.list_voices())
  worker.set_volume(volume)
  return {
    facts: {
      model: "espeak-ng",
      modelVersion: version,
      languages: [...new Set(voices.flatMap(({ languages }) => languages))].sort(),
      abilities: { cloning: Cloning.UNSPECIFIED, design: false, nativeWordTimes: true, streaming: true },
      presets: voices,
      sampleRate,
      // It dithers, and goes on from wherever it last was.
      deterministic: false,
      honours: ["speed"],
      transcriptNeeded: false
    },
    probe: {
      requestId: "probe",
      engine: "espeak",
      text: "One, two, three.",
      language: "en",
      voice: { $case: "presetVoice", value: "en" },
      params: undefined
    },
    *pieces({ params, text, voice }) {
      const preset = voices.find(({ name }) => voice?.$case === "presetVoice" && name === voice.value)!
      for (const piece of pieces(text, preset.languages[0])) {
        yield (out) => {
          worker.set_voice(preset.identifier)
          worker.set_rate(Math.round(rate * (params?.speed ?? 1)))
          const utterance = utteranceOf(piece.text)
          const placer = makePlacer(utterance, sampleRate)
          let made = 0
          worker.synthesize(utterance.markup, (samples, events) => {
            made += samples.length
            return !out.audio(samples, placer.place(events))
          })
          out.audio(new Int16Array(0), placer.end(made))
        }
      }
    }
  }
}

const read = async ({ folder }: Settings): Promise<{ readonly espeak: Espeak; readonly version: string }> => {
  try {
    const entry = folder === undefined
      ? fileURLToPath(import.meta.resolve(packageName))
      : join(folder, "espeak-ng.js")
    const manifest = await readFile(join(dirname(entry), "package.json"), "utf8")
    const { default: start } = await import(pathToFileURL(entry).href) as { readonly default: () => Promise<Espeak> }
    return { espeak: await start(), version: (JSON.parse(manifest) as { readonly version: string }).version }
  } catch (cause) {
    throw new CannotLoad(
      `the package ${packageName} cannot be loaded: install it (npm install --no-save ${packageName}@${packageVersion}) ` +
        `or set SCAISPEAK_ESPEAK_PACKAGE to its folder (${(cause as Error).message})`,
      true
    )
  }
}

host(load)
