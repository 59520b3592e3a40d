/**
 * What a listener has heard of a speech, and how the same speech, made again, is brought to that point: what was heard is
 * held against it, checksum for checksum, and left out.
 */
import { Cause, Effect } from "effect"
import { crc32 } from "node:zlib"
import { bytesPerSample } from "../../domain/AudioFormat.ts"
import { BackendFailed } from "../../domain/Failure.ts"
import type { PcmChunk, SpokenWord } from "../../domain/PcmChunk.ts"
import type { Chunks, Heard } from "./FirstSound.ts"

/** What has been passed on: how much, with which checksum, and which words. */
export const makeSaid = () => {
  const said = { bytes: 0, checksum: 0, words: [] as Array<SpokenWord> }
  const add = (chunks: Chunks): Chunks => {
    for (const { pcm, words } of chunks) {
      said.bytes += pcm.length
      if (pcm.length > 0) said.checksum = crc32(pcm, said.checksum)
      if (words.length > 0) said.words.push(...words)
    }
    return chunks
  }

  /** Reads over what has been said, and fails when it is not the same, sample for sample. */
  const leftOut = Effect.fnUntraced(function*(again: Heard) {
    let bytes = said.bytes
    let words = said.words.length
    let checksum = 0
    const rest = (chunks: ReadonlyArray<PcmChunk>): ReadonlyArray<PcmChunk> =>
      chunks.flatMap((chunk) => {
        const skipped = chunk.pcm.subarray(0, Math.min(bytes, chunk.pcm.length))
        if (skipped.length > 0) checksum = crc32(skipped, checksum)
        bytes -= skipped.length
        const known = Math.min(words, chunk.words.length)
        words -= known
        const left = { pcm: chunk.pcm.subarray(skipped.length), words: chunk.words.slice(known) }
        return left.pcm.length > 0 || left.words.length > 0 ? [left] : []
      })
    let [first, ...more] = rest(again.first)
    let ended = false
    while (!ended && (bytes > 0 || first === undefined)) {
      const chunks = yield* Effect.catchIf(again.pull, Cause.isDone, () => {
        ended = true
        return Effect.succeed([])
      })
      ;[first, ...more] = rest(chunks)
    }
    if (bytes > 0 || checksum !== said.checksum) return yield* otherSpeech
    // All of it had been said, but for its end.
    if (first === undefined) return { ...again, first: [nothing] as const, pull: Cause.done() }
    return { ...again, first: [first, ...more] as const }
  })

  return Object.assign(said, { add, leftOut })
}

const nothing: PcmChunk = { pcm: new Uint8Array(0), words: [] }

/** The same request to the same model gave other samples: the node is not what it says. */
export const otherSpeech = new BackendFailed({
  backend: "A",
  cause: new Error(`Another node with the same model speaks other samples (${bytesPerSample} bytes each).`)
})
