/** The measuring thread: takes one sound at a time, which stays where it is, and posts its metrics. */
import { parentPort } from "node:worker_threads"
import type { Sound } from "../AudioDecoder/Take.ts"
import { measure } from "./Measure.ts"

export interface MeasureJob {
  readonly sound: Sound
  readonly vadModel: string | undefined
}

parentPort!.on("message", ({ sound, vadModel }: MeasureJob) => {
  try {
    parentPort!.postMessage({ made: measure(sound, vadModel) })
  } catch (cause) {
    parentPort!.postMessage({ failure: cause instanceof Error ? cause.message : String(cause) })
  }
})
