/** The worker thread: takes one {@link PieceJob} at a time and posts the piece back, its samples by transfer. */
import { parentPort, workerData } from "node:worker_threads"
import { makePiece, type PieceJob } from "./Piece.ts"
import { Program } from "./Wasi.ts"

const flite = new Program(workerData as WebAssembly.Module)

parentPort!.on("message", (job: PieceJob) => {
  try {
    const made = makePiece(flite, job)
    parentPort!.postMessage({ made }, [made.samples.buffer])
  } catch (cause) {
    parentPort!.postMessage({ failure: cause instanceof Error ? cause.message : String(cause) })
  }
})
