/**
 * What the garbage collector is told before a program starts (`docs/decisions/0012-what-a-thousand-sessions-leave-to-the-collector.md`).
 *
 * While V8 marks a heap, calls wait, however little of it happens on the event loop. So it marks seldom, with a core left to
 * the loop, and what lies in buffers counts like everything else: by itself V8 marks again for each 64 MiB that was ever put
 * into one, with as many as four threads.
 *
 * Small buffers share slabs of 64 KiB. One that lasts as long as a sentence, such as the request that a call sent, keeps its
 * slab, with all the audio that has long been sent, until the old generation is collected. So slabs are small, and audio lies
 * in none.
 *
 * How much of it is young has to be said before V8 starts: `YoungGeneration.ts`.
 */
import { Buffer } from "node:buffer"
import { availableParallelism } from "node:os"
import { setFlagsFromString } from "node:v8"

/** V8's own. */
const markersMax = 4
/** By how much a heap may grow, in percent of what was alive in it, before it is marked again. */
const growthPercent = 300
/** From this version on buffers count as part of the heap, and the flag that says so is gone. */
const countsBuffers = [14, 8] as const
/** Buffers up to half of it share a slab; a message of audio is longer. */
const slabBytes = 1024

export const tuneCollector = (): void => {
  const markers = Math.max(1, Math.min(markersMax, availableParallelism() - 1))
  setFlagsFromString(`--concurrent-marking-max-worker-num=${markers}`)
  setFlagsFromString(`--heap-growing-percent=${growthPercent}`)
  const [major, minor] = process.versions.v8.split(".").map(Number) as [number, number]
  const isOlder = major < countsBuffers[0] || (major === countsBuffers[0] && minor < countsBuffers[1])
  if (isOlder) setFlagsFromString("--external-memory-accounted-in-global-limit")
  Buffer.poolSize = slabBytes
}
