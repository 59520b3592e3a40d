/** The process of the engine sherpa: reads the model of a folder with sherpa-onnx, and speaks sentence by sentence. */
import { createHash } from "node:crypto"
import { readdir, readFile, stat } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { basename, join } from "node:path"
import type { SynthesizeRequest } from "../../proto/scaiinfer/v1/audio.ts"
import { pieces } from "../../services/Sentences.ts"
import { host } from "../process/Host.ts"
import { CannotLoad, type Facts, fromFloat, type Model } from "../process/Model.ts"
import { findModel, type FoundModel, languagesIn } from "./ModelFolder.ts"
import { decodeNotes, type ModelNotes } from "./ModelNotes.ts"
import { probeClip, probeText, probeTranscript } from "./Probe.ts"
import { factsOf, generationOf } from "./Voices.ts"

export interface Settings {
  readonly folder: string
}

/** A model gains little from more. */
const threadsMax = 4

const load = async ({ folder }: Settings): Promise<Model> => {
  const { default: { OfflineTts } } = await addon()
  const names = (await readdir(folder).catch(() => {
    throw new CannotLoad(`${folder}: no such folder`)
  })).sort()
  const notes = await readNotes(folder)
  const found = findModel(names, notes.family)
  if ("missing" in found) throw new CannotLoad(`${folder}: ${found.missing}`)
  const tts = await OfflineTts.createAsync(configOf(folder, found))
  const name = notes.model ?? basename(folder)
  const languages = notes.languages ?? languagesOf(basename(folder), found)
  const version = notes.version ?? await fingerprint(folder, names)
  const { numSpeakers, sampleRate } = tts
  const facts = factsOf(found.family, { name, version, numSpeakers, sampleRate }, languages, notes)
  return {
    facts,
    probe: probeOf(facts, notes),
    *pieces(request) {
      const generationConfig = generationOf(request, found.family, facts)
      for (const { text } of pieces(request.text, request.language || languages[0])) {
        yield async (out) => {
          await tts.generateAsync({
            text,
            generationConfig,
            onProgress: ({ samples }) => (out.audio(fromFloat(samples)) ? 1 : 0)
          }).catch(silent)
        }
      }
    }
  }
}

const addon = () =>
  import("sherpa-onnx-node").catch((cause: Error) => {
    throw new CannotLoad(
      `the package sherpa-onnx-node cannot be loaded: npm install sherpa-onnx-node (${cause.message})`,
      true
    )
  })

/** A piece in which the model finds nothing to say is not a failure: the others may hold something. */
const silent = (cause: unknown) => {
  if (!String(cause).includes("produced no audio")) throw cause
}

const readNotes = async (folder: string): Promise<ModelNotes> => {
  const text = await readFile(join(folder, "scaispeak.json"), "utf8").catch(() => "{}")
  const decoded = decodeNotes(text)
  if (decoded._tag === "Failure") throw new CannotLoad(`${join(folder, "scaispeak.json")}: ${decoded.failure.message}`)
  return decoded.success
}

const configOf = (folder: string, { family, files, rules }: FoundModel) => ({
  model: {
    [family]: inFolder(folder, files),
    numThreads: Math.min(threadsMax, availableParallelism()),
    provider: "cpu"
  },
  maxNumSentences: 1,
  ...inFolder(folder, rules)
})

const inFolder = (folder: string, files: Readonly<Record<string, string>>) =>
  Object.fromEntries(
    Object.entries(files).map(([key, names]) => [key, names.split(",").map((name) => join(folder, name)).join(",")])
  )

/** A Piper voice is named after its language; in a multilingual model nothing is. */
const languagesOf = (folder: string, { files }: FoundModel): ReadonlyArray<string> => {
  const inName = languagesIn(folder)
  return inName.length > 0 ? inName : languagesIn(files["model"] ?? "")
}

/** Changes with any file's name or length: enough to tell two releases apart. */
const fingerprint = async (folder: string, names: ReadonlyArray<string>): Promise<string> => {
  const hash = createHash("sha256")
  for (const name of names) hash.update(`${name} ${(await stat(join(folder, name))).size}\n`)
  return hash.digest("hex").slice(0, 8)
}

const probeOf = ({ languages, presets }: Facts, notes: ModelNotes): SynthesizeRequest => ({
  requestId: "probe",
  engine: "sherpa",
  text: notes.probe ?? probeText(languages),
  language: languages[0] ?? "",
  voice: presets[0] === undefined
    ? { $case: "reference", value: { pcm: probeClip(), transcript: probeTranscript, sha256: "" } }
    : { $case: "presetVoice", value: presets[0].name },
  params: undefined
})

host(load)
