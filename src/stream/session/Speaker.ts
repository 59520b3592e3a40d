/**
 * Speaks an epoch: segment after segment is begun, encoded and put out, the next one begun while this one is still coming.
 *
 * A segment is begun only while the listener is less than the lead behind what has been made: one decision a segment. Its
 * audio goes out as fast as it is made, until 30 s of it wait for the transport: then the backend is not read.
 */
import { Effect, Exit, Fiber, Metric, Scope, Stream } from "effect"
import type { Backend } from "../../domain/BackendPolicy.ts"
import type { Failure, InvalidRequest } from "../../domain/Failure.ts"
import type { PcmChunk, SpokenWord } from "../../domain/PcmChunk.ts"
import { codePoints } from "../../domain/SpeakRequest.ts"
import { placer } from "../../domain/stream/Heard.ts"
import type { SpokenSegment } from "../../domain/stream/Heard.ts"
import type { Playhead } from "../../domain/stream/Playhead.ts"
import { warning, warnings } from "../../domain/stream/ServerFrame.ts"
import type { AudioEncoder } from "../../services/AudioEncoder.ts"
import type { SpeechSession } from "../../services/Synthesis.ts"
import type { Begun, Epoch, FlushWork, SegmentWork } from "./Epoch.ts"
import type { Outbox, SentFrame } from "./Outbox.ts"
import { makeSeam } from "./Seam.ts"
import { makeTrack } from "./Track.ts"
import type { TrackOptions } from "./Track.ts"

/** Unsent audio past which a backend is not read; ms. */
export const unsentMillisMax = 30_000
/** Soonest second look at a listener that does not move; ms. */
const lookMillisMin = 20
/** Segments of which the text is kept for an interrupt, in an utterance that does not end. */
const spokenMax = 256

/** What lasts longer than an epoch. */
export interface Tally {
  backend: Backend
  /** Whether anything has been heard from it. */
  spoke: boolean
  segments: number
  characters: number
}

export interface SpeakerOptions {
  readonly epoch: Epoch
  readonly speech: SpeechSession
  readonly encoder: AudioEncoder["Service"]
  readonly output: TrackOptions["output"]
  readonly outbox: Outbox
  readonly playhead: Playhead
  readonly leadMs: number
  readonly wordTimes: boolean
  readonly tally: Tally
  /** ms of the session's clock. */
  readonly now: () => number
  /** The segment up to this offset has been given to a backend. */
  readonly onBegun: (end: number) => void
}

const firstAudioSeconds = Metric.histogram("scaispeak_stream_first_audio_seconds", {
  description: "From the frame that completed a segment of text to its first audio, when nothing was being spoken",
  boundaries: Metric.exponentialBoundaries({ start: 0.001, factor: 2, count: 14 })
})

/** Ends when the epoch's work has an end; what it holds is held in its scope. */
export const speak = Effect.fnUntraced(function*(options: SpeakerOptions): Effect.fn.Return<
  void,
  Failure,
  Scope.Scope
> {
  const { epoch, now, outbox, playhead, speech, tally } = options
  const scope = yield* Effect.scope
  const frame = (frame: SentFrame) => {
    if (epoch.live) outbox.pushFrame(frame)
  }
  const room: Effect.Effect<void> = Effect.suspend(() =>
    outbox.pushedMs - outbox.takenMs > unsentMillisMax ? Effect.andThen(epoch.until("room"), room) : Effect.void
  )
  const track = makeTrack({ encoder: options.encoder, output: options.output, outbox, isLive: () => epoch.live, room })

  const leadOver = () => outbox.pushedMs - playhead.at(now()) - options.leadMs
  const paced: Effect.Effect<void> = Effect.suspend(() => {
    const over = leadOver()
    return over < 0 ? Effect.void : Effect.andThen(
      Effect.timeoutOption(epoch.until("pace"), Math.max(lookMillisMin, Math.ceil(over) + 1)),
      paced
    )
  })

  const begin = (work: SegmentWork): Effect.Effect<Begun, Failure> =>
    Effect.flatMap(Scope.fork(scope), (own) =>
      speech.say(work.segment.text).pipe(
        Scope.provide(own),
        Effect.map((speech): Begun => ({ speech, scope: own })),
        Effect.onError((cause) => Scope.close(own, Exit.failCause(cause))),
        Effect.catchIf(isOfText, (refused) => Effect.succeed<Begun>({ refused }))
      ))

  /** The next segment, if it is there and its time has come. */
  const beginAhead = Effect.suspend(() => {
    const next = epoch.nextSegment
    if (next === undefined || next.ahead !== undefined || !next.segment.sayable || leadOver() >= 0) return Effect.void
    return Effect.map(Effect.forkIn(begin(next), scope), (ahead) => {
      next.ahead = ahead
    })
  })

  const onBackend = (backend: Backend) => {
    if (tally.spoke && backend !== tally.backend) {
      frame({ type: "switched", from: tally.backend, to: backend, atMs: Math.round(track.atMs()) })
    }
    tally.backend = backend
    tally.spoke = true
  }

  /** What was heard two utterances ago is not asked about any more. */
  const keep = (segment: SpokenSegment) => {
    const { spoken } = epoch
    const heardMs = playhead.at(now())
    const heard = spoken.findLast(({ startMs }) => startMs <= heardMs)?.utterance ?? 0
    while (spoken.length > 0 && spoken[0]!.utterance < heard - 1) spoken.shift()
    if (spoken.length >= spokenMax) spoken.shift()
    spoken.push(segment)
  }

  const segment = Effect.fnUntraced(function*(work: SegmentWork) {
    const { end, pause, sayable, start, text } = work.segment
    const skip = () => {
      epoch.queue.shift()
      options.onBegun(end)
      const at = track.atMs()
      keep({ utterance: work.utterance, text, start, end, startMs: at, endMs: at, whole: true, words: [] })
    }
    if (!sayable) return skip()
    const wasQuiet = outbox.pushedMs - outbox.takenMs === 0
    const begun = yield* work.ahead === undefined ? Effect.andThen(paced, begin(work)) : Fiber.join(work.ahead)
    if ("refused" in begun) {
      const [detail] = begun.refused.details
      frame(warning("TEXT_REFUSED", `${warnings.TEXT_REFUSED} ${detail?.field}: ${detail?.message}`))
      return skip()
    }
    const { plan, audio, backend } = begun.speech
    const startMs = yield* track.source(plan.sampleRate)
    const characters = codePoints(text)
    const spoken: SpokenSegment = {
      utterance: work.utterance,
      text,
      start,
      end,
      startMs,
      endMs: startMs,
      whole: false,
      words: []
    }
    epoch.queue.shift()
    options.onBegun(end)
    keep(spoken)
    epoch.utterance.characters += characters
    tally.characters += characters
    onBackend(backend())
    frame({
      type: "segment",
      utterance: work.utterance,
      segment: ++tally.segments,
      text,
      startMs: Math.round(startMs),
      chars: [start, end]
    })
    if (wasQuiet) yield* Metric.update(firstAudioSeconds, (now() - work.receivedAt) / 1000)

    const seam = makeSeam(pause, plan.sampleRate)
    const place = placer(text, start)
    const words = (some: ReadonlyArray<SpokenWord>) => {
      const placed = some.map((word) =>
        place({
          ...word,
          startMs: Math.round(word.startMs + startMs),
          endMs: Math.round(word.endMs + startMs)
        })
      )
      if (some[0]!.source === "native") spoken.words.push(...placed)
      if (options.wordTimes) frame({ type: "words", segment: tally.segments, words: placed })
    }
    const piece = (pcm: Uint8Array) =>
      Effect.map(track.push(pcm), () => {
        spoken.endMs = track.atMs()
      })
    const chunk = ({ pcm, words: some }: PcmChunk) => {
      if (some.length > 0) words(some)
      return pcm.length > 0 ? each(seam.push(pcm), piece) : Effect.void
    }
    const chunks = (some: ReadonlyArray<PcmChunk>) => {
      if (backend() !== tally.backend) onBackend(backend())
      return Effect.andThen(each(some, chunk), beginAhead)
    }
    yield* Stream.runForEachArray(audio, chunks).pipe(Effect.ensuring(Scope.close(begun.scope, Exit.void)))
    yield* each(seam.end(), piece)
    spoken.whole = true
  })

  const flush = Effect.fnUntraced(function*({ hadText, id }: FlushWork) {
    yield* track.settle
    const { characters, startMs } = epoch.utterance
    epoch.queue.shift()
    epoch.utterance = { characters: 0, startMs: outbox.pushedMs }
    if (hadText && characters === 0) frame(warning("NOTHING_TO_SPEAK"))
    frame({
      type: "flush_done",
      ...(id === undefined ? {} : { id }),
      audioMs: Math.round(outbox.pushedMs - startMs),
      characters
    })
  })

  epoch.utterance.startMs = outbox.pushedMs
  while (true) {
    const work = epoch.queue[0]
    if (work === undefined) yield* epoch.until("work")
    else if (work._tag === "segment") yield* segment(work)
    else if (work._tag === "flush") yield* flush(work)
    else return yield* track.settle
  }
})

/** One after another; most often there is one. */
const each = <A>(all: ReadonlyArray<A>, act: (one: A) => Effect.Effect<void>): Effect.Effect<void> =>
  all.length === 1 ? act(all[0]!) : Effect.forEach(all, act, { discard: true })

/** The engine cannot speak this text, whoever asks: a part is left out, and the session goes on. */
const isOfText = (failure: Failure): failure is InvalidRequest =>
  failure._tag === "InvalidRequest" &&
  failure.details.every(({ field }) => field === "text" || field === "language_hint")
