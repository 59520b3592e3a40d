/** Flite's worker with three ways to break, so that what the pool promises can be tried on real threads. */
import { parentPort, workerData } from "node:worker_threads"
import { makePiece, type PieceJob } from "../../src/engine/flite/Piece.ts"
import { Program } from "../../src/engine/flite/Wasi.ts"

const flite = new Program(workerData as WebAssembly.Module)

parentPort!.on("message", (job: PieceJob) => {
  const words = job.words.join(" ").toLowerCase()
  if (words.includes("crash")) process.exit(3)
  if (words.includes("hang")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  if (words.includes("slow")) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300)
  try {
    // Amplified by nothing, a piece is silent.
    const made = makePiece(flite, words.includes("mute") ? { ...job, gain: 0 } : job)
    parentPort!.postMessage({ made }, [made.samples.buffer])
  } catch (cause) {
    parentPort!.postMessage({ failure: String(cause) })
  }
})
