/**
 * Puts the finished segments of a job together: one file, encoded once from beginning to end, on its way to the object store
 * while it is made and while later segments are still being spoken; and beside it a file that says when what is said. Memory
 * holds one piece of sound, and the words of a few segments, however long the text.
 *
 * Both are written under names of the job's own, so that putting together again replaces them, and are there whole or not at all.
 */
import { Deferred, Effect, Stream } from "effect"
import { bytesPerSample, formats, millisOfBytes } from "../../domain/AudioFormat.ts"
import { folderOf, timingsKeyOf } from "../../domain/Job.ts"
import type { Segment } from "../../domain/Job.ts"
import { AudioEncoder, ofLength, rateFor } from "../../services/AudioEncoder.ts"
import type { Run } from "../../services/JobRuns.ts"
import { ObjectStore } from "../../services/ObjectStore.ts"
import type { ObjectFacts } from "../../services/ObjectStore.ts"
import type { Segments } from "./Segments.ts"
import type { Shelf } from "./Shelf.ts"

export interface Assembled {
  readonly key: string
  readonly facts: ObjectFacts
  readonly audioMs: number
}

/** Added where a paragraph ends between two segments: engines end a segment as they end a sentence. ms. */
const paragraphMillis = 350
/** More than any header that says how long the file is. */
const headBytes = 4096
/** Segments whose words are read at once. */
const wordsAtOnce = 4

/** Begins when the run seems to be the job's last one, and ends when all segments have come. */
export const assemble = Effect.fnUntraced(function*(
  { jobId, request: { speak } }: Run,
  cuts: ReadonlyArray<Segment>,
  segments: Segments,
  shelf: Shelf
) {
  const objects = yield* ObjectStore
  const encoder = yield* AudioEncoder
  yield* shelf.last.await
  const { sampleRate } = yield* Deferred.await(shelf.speaker)
  const format = speak.responseFormat
  const key = `${folderOf(jobId)}audio.${formats[format].extension}`
  const targetRate = rateFor(format, sampleRate, speak.sampleRate)
  const contentType = formats[format].contentType(targetRate)
  const silence = new Uint8Array(Math.round((paragraphMillis * sampleRate) / 1000) * bytesPerSample)
  const pauseAfter = (index: number) =>
    cuts[index]!.endsParagraph === true && index < cuts.length - 1 ? silence : nothing

  const soundOf = (index: number) => Stream.unwrap(Effect.andThen(shelf.has(index), segments.sound(index)))
  const encoded = Stream.fromIterable(cuts.keys(), { chunkSize: 1 }).pipe(
    Stream.flatMap((index) => Stream.concat(soundOf(index), Stream.succeed(pauseAfter(index)))),
    Stream.map((pcm) => ({ pcm, words: [] })),
    encoder.encode({ format, sourceRate: sampleRate, targetRate, patient: true })
  )

  /** Byte at which each segment begins, and the end; once all are there. */
  const startsOf = Effect.gen(function*() {
    const starts = [0]
    for (const index of cuts.keys()) {
      yield* shelf.has(index)
      starts.push(starts[index]! + shelf.sizes.get(index)! + pauseAfter(index).length)
    }
    return starts
  })
  const put = Effect.gen(function*() {
    const saysLength = format === "wav" || format === "flac"
    if (!saysLength) return yield* objects.put(key, encoded, { contentType })
    // What is not changed has not to be kept twice.
    const isCopied = format === "wav" && sampleRate === targetRate
    if (!isCopied) yield* objects.put(segments.draftKey, encoded, { contentType })
    const bytes = (yield* startsOf).at(-1)!
    const samples = Math.round((bytes / bytesPerSample) * (targetRate / sampleRate))
    const file = isCopied ? encoded : draftOf(objects, segments.draftKey)
    return yield* objects.put(key, ofLength(format, samples)(file), { contentType })
  })
  const facts = yield* put

  const starts = yield* startsOf
  const millisAt = (index: number) => millisOfBytes(starts[index]!, sampleRate)
  const chapters = cuts.flatMap(({ title }, index) => title === undefined ? [] : [{ title, start_ms: millisAt(index) }])
  const head = { job_id: jobId, audio_duration_ms: millisAt(cuts.length), sample_rate: targetRate, chapters }
  const words = Stream.fromIterable(cuts.keys(), { chunkSize: 1 }).pipe(
    Stream.mapEffect((index) =>
      Effect.map(
        segments.words(index),
        (words) =>
          words.map(({ endMs, source, startMs, text }) =>
            JSON.stringify({ text, start_ms: millisAt(index) + startMs, end_ms: millisAt(index) + endMs, source })
          ).join(",\n")
      ), { concurrency: wordsAtOnce }),
    Stream.filter((text) => text !== ""),
    Stream.zipWithIndex,
    Stream.map(([text, index]) => (index === 0 ? text : `,\n${text}`))
  )
  const timings = Stream.make(`${JSON.stringify(head).slice(0, -1)},"words":[\n`).pipe(
    Stream.concat(words),
    Stream.concat(Stream.succeed("\n]}\n")),
    Stream.map((text) => Buffer.from(text))
  )
  yield* objects.put(timingsKeyOf(key), timings, { contentType: "application/json" })
  return { key, facts, audioMs: head.audio_duration_ms } satisfies Assembled
})

const nothing = new Uint8Array(0)

/** The file as it was encoded, its header in one piece. */
const draftOf = (objects: ObjectStore["Service"], key: string) =>
  Stream.concat(
    Stream.unwrap(Effect.map(objects.get(key, { offset: 0, length: headBytes }), ({ body }) =>
      Stream.fromEffect(
        Effect.map(Stream.runCollect(body), (pieces) => new Uint8Array(Buffer.concat(pieces)))
      ))),
    Stream.unwrap(Effect.map(objects.get(key, { offset: headBytes }), ({ body }) => body))
  )
