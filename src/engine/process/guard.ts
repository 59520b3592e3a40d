/**
 * A thread of an engine's process that ends it when its node is gone, also while native code holds the main thread and
 * the closed channel goes unnoticed.
 */
import { workerData } from "node:worker_threads"

const lookMillis = 500

setInterval(() => {
  // An orphan gets another parent.
  if (process.ppid !== workerData) process.kill(process.pid, "SIGKILL")
}, lookMillis)
