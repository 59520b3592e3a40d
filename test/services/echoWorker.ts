/** Answers each job with itself, after as many ms as it says; a negative one ends the thread. */
import { parentPort } from "node:worker_threads"

parentPort!.on("message", (job: { readonly name: string; readonly millis: number }) => {
  if (job.millis < 0) process.exit(1)
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, job.millis)
  parentPort!.postMessage(job.name === "bad" ? { failure: "bad" } : { made: job.name })
})
