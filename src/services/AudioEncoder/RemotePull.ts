/** Feeds an encoding in another thread: one batch goes there, its bytes come back, then the next. */
import { Cause, Effect, Pull } from "effect"
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import type { RemoteEncoding } from "./EncoderThreads.ts"

/**
 * Most PCM handed over at once: a third of a second at 24 kHz, some milliseconds of a thread's time, so that encodings
 * in one thread take turns. Speech that came in smaller pieces while the thread was busy goes over together.
 */
const batchBytesMax = 16 * 1024
/**
 * Where nobody waits for what comes back: each way between threads is one in which the thread may have nothing to do. The
 * thread does it in slices.
 */
const patientBytesMax = 128 * 1024

export const pullRemote = <E, R>(
  speech: Pull.Pull<NonEmptyReadonlyArray<PcmChunk>, E, void, R>,
  encoding: RemoteEncoding,
  isPatient: boolean
): Pull.Pull<NonEmptyReadonlyArray<Uint8Array>, E, void, R> => {
  const bytesMax = isPatient ? patientBytesMax : batchBytesMax
  let waiting: ReadonlyArray<PcmChunk> = []
  let index = 0
  let offset = 0
  let ended = false

  /** Copies what waits into a buffer to give away; it is read whole before more is pulled. */
  const nextBatch = (): Uint8Array<ArrayBuffer> | undefined => {
    let bytes = -offset
    for (let i = index; i < waiting.length && bytes < bytesMax; i++) bytes += waiting[i]!.pcm.length
    if (bytes <= 0) return undefined
    const batch = new Uint8Array(Math.min(bytes, bytesMax))
    for (let filled = 0; filled < batch.length;) {
      const { pcm } = waiting[index]!
      const part = pcm.subarray(offset, offset + batch.length - filled)
      batch.set(part, filled)
      filled += part.length
      offset += part.length
      if (offset === pcm.length) {
        index++
        offset = 0
      }
    }
    return batch
  }

  const next: Pull.Pull<NonEmptyReadonlyArray<Uint8Array>, E, void, R> = Effect.suspend(() => {
    if (ended) return Cause.done()
    const batch = nextBatch()
    if (batch !== undefined) {
      return Effect.flatMap(encoding.push(batch), (bytes) => bytes.length > 0 ? Effect.succeed([bytes] as const) : next)
    }
    return Effect.flatMap(speech, (chunks) => {
      waiting = chunks
      index = 0
      offset = 0
      return next
    })
  })

  return Pull.catchDone(next, () => {
    if (ended) return Cause.done()
    ended = true
    return Effect.flatMap(
      encoding.end,
      (bytes) => bytes.length > 0 ? Effect.succeed([bytes] as const) : Cause.done()
    )
  }) as Pull.Pull<NonEmptyReadonlyArray<Uint8Array>, E, void, R>
}
