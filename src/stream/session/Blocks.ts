/**
 * Memory for what sessions have sent, in blocks that go from one to the next.
 *
 * Shared buffers, though one thread uses them: V8 counts what other buffers hold as part of the heap, and goes through all of
 * it the sooner. Kept audio of a thousand sessions is a multiple of everything else that they are
 * (`docs/decisions/0012-what-a-thousand-sessions-leave-to-the-collector.md`).
 */
export const blockBytes = 16 * 1024
/** Free ones beyond these are left to the collector: 32 MiB. */
const freeMax = 2048

const free: Array<Uint8Array> = []

/** What lies in it is somebody else's: to be written before it is read. */
export const takeBlock = (): Uint8Array => free.pop() ?? new Uint8Array(new SharedArrayBuffer(blockBytes))

/** The caller has no other reference to it, and no view. */
export const giveBlock = (block: Uint8Array): void => {
  if (free.length < freeMax) free.push(block)
}
