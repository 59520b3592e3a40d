/** The worker thread: makes one piece of speech or one fitted voice at a time, and posts samples back by transfer. */
import { parentPort, workerData } from "node:worker_threads"
import { type FitJob, fitVoice } from "./Fitting.ts"
import { makePiece, type PieceJob } from "./Piece.ts"
import { Program } from "./Wasi.ts"

const flite = new Program(workerData as WebAssembly.Module)

parentPort!.on("message", (job: PieceJob | FitJob) => {
  try {
    if ("words" in job) {
      const made = makePiece(flite, job)
      parentPort!.postMessage({ made }, [made.samples.buffer])
    } else {
      parentPort!.postMessage({ made: fitVoice(flite, job) })
    }
  } catch (cause) {
    parentPort!.postMessage({ failure: cause instanceof Error ? cause.message : String(cause) })
  }
})
