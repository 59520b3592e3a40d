/**
 * The finished segments of a job, in the object store: sound as s16le mono PCM, and the words in it beside.
 *
 * A segment is finished when both are there, and the sound is written last. They are all that a run leaves behind for the
 * next one, and go when the job ends.
 */
import { Effect, Schema, Stream } from "effect"
import { bytesPerSample } from "../../domain/AudioFormat.ts"
import type { JobId } from "../../domain/Ids.ts"
import { folderOf } from "../../domain/Job.ts"
import { SpokenWord } from "../../domain/PcmChunk.ts"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import type { ObjectStore } from "../../services/ObjectStore.ts"

/** Times are ms from the beginning of the segment. */
const Words = Schema.fromJsonString(Schema.Array(SpokenWord))
const encodeWords = Schema.encodeSync(Words)
const decodeWords = Schema.decodeUnknownSync(Words)

const folder = (jobId: JobId) => `${folderOf(jobId)}segments/`
const digits = 6
const stem = (jobId: JobId, index: number) => `${folder(jobId)}${String(index).padStart(digits, "0")}`

const indexOf = (key: string): number | undefined => {
  const found = /\/(\d{6})\.pcm$/u.exec(key)
  return found === null ? undefined : Number(found[1])
}

export const make = (objects: ObjectStore["Service"], jobId: JobId) => ({
  /** Bytes of each segment that is finished, by its index. */
  finished: objects.list(folder(jobId)).pipe(
    Stream.runFold(() => new Map<number, number>(), (all, { key, size }) => {
      const index = indexOf(key)
      return index === undefined ? all : all.set(index, size)
    })
  ),

  /** Keeps a segment while it is spoken; returns its length in bytes. */
  keep: Effect.fnUntraced(function*<E>(index: number, audio: Stream.Stream<PcmChunk, E>) {
    const words: Array<SpokenWord> = []
    const pcm = audio.pipe(
      Stream.map((chunk) => {
        for (const word of chunk.words) words.push(word)
        return chunk.pcm
      }),
      Stream.filter((bytes) => bytes.length > 0),
      // Nothing is kept of the sound before its words are.
      Stream.concat(
        Stream.fromEffectDrain(
          Effect.suspend(() =>
            objects.put(`${stem(jobId, index)}.json`, Buffer.from(encodeWords(words)), {
              contentType: "application/json"
            })
          )
        )
      )
    )
    const { size } = yield* objects.put(`${stem(jobId, index)}.pcm`, pcm, { contentType: "application/octet-stream" })
    return size
  }),

  /** The sound, in whole samples. To be run once, while the scope is open. */
  sound: (index: number) => Effect.map(objects.get(`${stem(jobId, index)}.pcm`), ({ body }) => wholeSamples(body)),

  words: (index: number): Effect.Effect<ReadonlyArray<SpokenWord>, Effect.Error<ReturnType<typeof objects.read>>> =>
    Effect.map(objects.read(`${stem(jobId, index)}.json`), (bytes) => decodeWords(Buffer.from(bytes).toString())),

  remove: objects.removeAll(folder(jobId))
})
export type Segments = ReturnType<typeof make>

const nothing = new Uint8Array(0)

/** Bytes come from a network in pieces of any length; the first half of a sample waits for the second. */
const wholeSamples = <E>(bytes: Stream.Stream<Uint8Array, E>): Stream.Stream<Uint8Array, E> =>
  bytes.pipe(
    Stream.mapAccum((): Uint8Array => nothing, (rest, piece) => {
      const joined = rest.length === 0 ? piece : Buffer.concat([rest, piece])
      const whole = joined.length - joined.length % bytesPerSample
      return [joined.slice(whole), whole === 0 ? [] : [joined.subarray(0, whole)]] as const
    })
  )
