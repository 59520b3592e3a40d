/**
 * Sherpa: any text-to-speech model that sherpa-onnx reads, from a folder of the operator's, in a process of its own.
 *
 * Piper and other VITS voices, Matcha, Kokoro, Kitten and Supertonic have preset voices; Pocket and ZipVoice speak as a
 * reference does. What the files do not say about languages, speakers and version, `scaispeak.json` beside them may.
 */
import * as EngineProcess from "./EngineProcess.ts"
import type { Settings } from "./sherpa/process.ts"

export interface SherpaOptions {
  /** The model's. */
  readonly folder: string
  /** Tests shorten the deadlines. */
  readonly deadlines?: Partial<EngineProcess.EngineProcessOptions>
}

/** Starts reading the model in the background. */
export const make = ({ deadlines, folder }: SherpaOptions) =>
  EngineProcess.make({
    name: "sherpa",
    entry: new URL("./sherpa/process.ts", import.meta.url),
    settings: { folder } satisfies Settings,
    // A gigabyte from a cold disk, and a first sentence.
    loadMillisMax: 120_000,
    // A sentence of 12 s on a machine half as fast as speech; the model cannot be stopped within one.
    quietMillisMax: 30_000,
    cancelMillisMax: 30_000,
    firstWaitMillis: 2000,
    ...deadlines
  })
