/**
 * Puts the finished segments of a job together: one file, encoded once from beginning to end, on its way to the object store
 * while it is made; and beside it a file that says when what is said. Memory holds one piece of sound, and one segment's
 * words, however long the text.
 *
 * Both are written under names of the job's own, so that putting together again replaces them.
 */
import { Effect, Stream } from "effect"
import { bytesPerSample, formats, millisOfBytes } from "../../domain/AudioFormat.ts"
import { folderOf, timingsKeyOf } from "../../domain/Job.ts"
import type { Segment } from "../../domain/Job.ts"
import { AudioEncoder, ofLength, rateFor } from "../../services/AudioEncoder.ts"
import type { Run } from "../../services/JobRuns.ts"
import { ObjectStore } from "../../services/ObjectStore.ts"
import type { ObjectFacts } from "../../services/ObjectStore.ts"
import type { Segments } from "./Segments.ts"
import type { Spoken } from "./Speaking.ts"

export interface Assembled {
  readonly key: string
  readonly facts: ObjectFacts
  readonly audioMs: number
}

/** Added where a paragraph ends between two segments: engines end a segment as they end a sentence. ms. */
const paragraphMillis = 350

export const assemble = Effect.fnUntraced(function*(
  { jobId, request: { speak } }: Run,
  cuts: ReadonlyArray<Segment>,
  segments: Segments,
  { sizes, speaker }: Spoken
) {
  const objects = yield* ObjectStore
  const encoder = yield* AudioEncoder
  const { extension } = formats[speak.responseFormat]
  const key = `${folderOf(jobId)}audio.${extension}`
  const silence = new Uint8Array(Math.round((paragraphMillis * speaker.sampleRate) / 1000) * bytesPerSample)
  const pauseAfter = (
    index: number
  ) => (cuts[index]!.endsParagraph === true && index < cuts.length - 1 ? silence : nothing)
  /** Byte at which each segment begins, and the end. */
  const starts = [0]
  for (const [index, size] of sizes.entries()) starts.push(starts[index]! + size + pauseAfter(index).length)
  const bytes = starts.at(-1)!
  const millisAt = (index: number) => millisOfBytes(starts[index]!, speaker.sampleRate)

  const targetRate = rateFor(speak.responseFormat, speaker.sampleRate, speak.sampleRate)
  const audio = Stream.fromIterable(cuts.keys(), { chunkSize: 1 }).pipe(
    Stream.flatMap((index) => Stream.concat(Stream.unwrap(segments.sound(index)), Stream.succeed(pauseAfter(index)))),
    Stream.map((pcm) => ({ pcm, words: [] })),
    encoder.encode({ format: speak.responseFormat, sourceRate: speaker.sampleRate, targetRate }),
    ofLength(speak.responseFormat, Math.round((bytes / bytesPerSample) * (targetRate / speaker.sampleRate)))
  )
  const facts = yield* objects.put(key, audio, { contentType: formats[speak.responseFormat].contentType(targetRate) })

  const chapters = cuts.flatMap(({ title }, index) => title === undefined ? [] : [{ title, start_ms: millisAt(index) }])
  const head = {
    job_id: jobId,
    audio_duration_ms: millisOfBytes(bytes, speaker.sampleRate),
    sample_rate: targetRate,
    chapters
  }
  const words = Stream.fromIterable(cuts.keys(), { chunkSize: 1 }).pipe(
    Stream.mapEffect((index) =>
      Effect.map(
        segments.words(index),
        (words) =>
          words.map(({ endMs, source, startMs, text }) =>
            JSON.stringify({ text, start_ms: millisAt(index) + startMs, end_ms: millisAt(index) + endMs, source })
          ).join(",\n")
      )
    ),
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
