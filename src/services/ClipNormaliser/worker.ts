/** The normalising thread: takes one recording at a time and posts its clip back by transfer. */
import { Result } from "effect"
import { parentPort } from "node:worker_threads"
import type { Sound } from "../AudioDecoder/Take.ts"
import { normalise, type NormaliseMade, normaliseSound } from "./Normalise.ts"

parentPort!.on("message", (recording: Uint8Array | Sound) => {
  try {
    const made: NormaliseMade = Result.match(
      recording instanceof Uint8Array ? normalise(recording) : normaliseSound(recording),
      {
        onFailure: (unusable) => ({ unusable }),
        onSuccess: (pcm) => ({ pcm })
      }
    )
    parentPort!.postMessage({ made }, "pcm" in made ? [made.pcm.buffer] : [])
  } catch (cause) {
    parentPort!.postMessage({ failure: cause instanceof Error ? cause.message : String(cause) })
  }
})
