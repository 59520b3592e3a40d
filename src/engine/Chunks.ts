/**
 * Cuts audio into messages: small ones first, so that sound starts at once, then larger ones, since each costs the same
 * whatever it holds. The pieces are views; a chunk is whole samples.
 */

/** 40 ms at 16 kHz: enough for a player to start, and on its way while the rest is cut. */
const firstBytes = 1280
/** 2 s at 16 kHz: beyond it a message costs little for what it holds. */
const chunkBytesMax = 65536

/** One cutter a call: chunks double from one to the next. */
export const makeCutter = (): (pcm: Uint8Array) => Generator<Uint8Array> => {
  let size = firstBytes
  return function*(pcm) {
    for (let start = 0; start < pcm.length;) {
      const end = Math.min(start + size, pcm.length)
      yield pcm.subarray(start, end)
      start = end
      size = Math.min(2 * size, chunkBytesMax)
    }
  }
}
