/**
 * Espeak: some hundred languages by formant synthesis, with the times of its words, in a process of its own.
 *
 * Its package is under the GPL and no dependency: an operator installs it, beside ours or in a folder that is named.
 */
import * as EngineProcess from "./EngineProcess.ts"
import type { Settings } from "./espeak/process.ts"

export interface EspeakOptions {
  /** Of the package; beside ours without it. */
  readonly folder?: string | undefined
}

/** Starts loading in the background: 0.3 s. */
export const make = ({ folder }: EspeakOptions) =>
  EngineProcess.make({
    name: "espeak",
    entry: new URL("./espeak/process.ts", import.meta.url),
    settings: { folder } satisfies Settings,
    loadMillisMax: 30_000,
    // A hundred times as long as a piece takes on an idle core.
    quietMillisMax: 15_000,
    cancelMillisMax: 15_000,
    firstWaitMillis: 5000
  })
