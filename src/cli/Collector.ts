/**
 * What the garbage collector is told before a program starts (`docs/decisions/0012-what-a-thousand-sessions-leave-to-the-collector.md`).
 *
 * V8 marks a heap with four threads, however many cores there are. Where they are few it takes them from the event loop, and
 * then makes the loop help: calls wait for a quarter of a second. So there is always a core for the loop.
 *
 * Small buffers share slabs of 64 KiB. One that lasts as long as a sentence, such as the request that a call sent, keeps its
 * slab, with all the audio that has long been sent, until the old generation is collected, and each 64 MiB of that has the
 * whole heap marked. So slabs are small, and audio lies in none.
 */
import { Buffer } from "node:buffer"
import { availableParallelism } from "node:os"
import { setFlagsFromString } from "node:v8"

/** V8's own. */
const markersMax = 4
/** Buffers up to half of it share a slab; a message of audio is longer. */
const slabBytes = 1024

export const tuneCollector = (): void => {
  const markers = Math.max(1, Math.min(markersMax, availableParallelism() - 1))
  setFlagsFromString(`--concurrent-marking-max-worker-num=${markers}`)
  Buffer.poolSize = slabBytes
}
