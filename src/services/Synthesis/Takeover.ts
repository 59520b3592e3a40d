/**
 * What happens when a backend breaks after it has been heard: another one goes on in the same voice, or the call fails.
 *
 * Where the engine is deterministic, another node with the same model speaks the text again; what was heard already is
 * held against it, checksum for checksum, and left out: not one sample is lost or doubled. Else the next sentence is
 * spoken by another node with the same engine and model, or by the other backend if the voice is the same speaker there:
 * the rest of the broken sentence is lost, and the record says so. Where nobody can tell what has been heard, or where the
 * speaker would be another one, the call fails.
 */
import { Cause, Clock, Effect, Metric, Scope } from "effect"
import { millisOfBytes } from "../../domain/AudioFormat.ts"
import type { Backend } from "../../domain/BackendPolicy.ts"
import { waitOf } from "../../domain/Failover.ts"
import type { DispatchFailure } from "../../domain/Failure.ts"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import { isSameSpeaker } from "../../domain/Voice.ts"
import type { Voice } from "../../domain/Voice.ts"
import { isBackends } from "../Dispatch.ts"
import type { Dispatched, DispatchRefusal } from "../Dispatch.ts"
import type { AudioPull, Chunks, Heard, Route } from "./FirstSound.ts"
import { restAfter } from "./RestOfText.ts"
import { makeSaid, otherSpeech } from "./Said.ts"

export interface TakeoverOptions {
  readonly route: Route
  readonly text: string
  readonly language: string
  readonly voice: Voice
  /** Longest wait for the first audio of whoever takes over, over all that are asked at one break; ms. */
  readonly firstAudioMsMax: number
  /** Nothing may be left out. */
  readonly unbroken?: boolean
  /** Somebody else speaks from here on. */
  readonly onTakeover: (dispatched: Dispatched) => void
}

const takeoversTotal = Metric.counter("scaispeak_takeovers_total", {
  description: "Calls whose backend broke after it was heard, by how they went on",
  incremental: true
})
const takenSeamless = Metric.withAttributes(takeoversTotal, { how: "seamless" })
const takenBySentence = Metric.withAttributes(takeoversTotal, { how: "next_sentence" })
const brokenOff = Metric.withAttributes(takeoversTotal, { how: "broken_off" })

/** A text whose backends break again and again has to end. */
const takeoversMax = 2
/** Nodes that are asked at one break to speak the text again. */
const replaysMax = 2

/** The same speech, taken up by others where it breaks. Runs in the scope that the attempts belong to. */
export const takingOver = (heard: Heard, scope: Scope.Scope, options: TakeoverOptions): Heard => {
  const { route } = options
  const others = (backend: Backend): ReadonlyArray<Backend> =>
    isSameSpeaker(options.voice) ? route.candidates.filter((other) => other !== backend) : []
  if (route.otherNodes() === 0 && others(heard.dispatched.backend).length === 0) return heard

  const said = makeSaid(heard.dispatched.deterministic)
  let current = heard
  let early: Chunks | undefined
  let shift = 0
  let takeovers = 0
  /** Epoch ms, of the break that is being mended. */
  let deadline = 0
  /** What has been said is one speech from its beginning. */
  let unbroken = true
  said.add(heard.first)

  const shifted = (chunks: Chunks): Chunks =>
    shift === 0 ? chunks : chunks.map((chunk) => later(chunk, shift)) as unknown as Chunks
  const next: AudioPull = Effect.suspend(() => {
    if (early !== undefined) {
      const chunks = early
      early = undefined
      return Effect.succeed(said.add(shifted(chunks)))
    }
    return Effect.catchIf(
      Effect.map(current.pull, (chunks) => said.add(shifted(chunks))),
      isBroken,
      (failure) => takeOver(failure)
    )
  })

  const takeOver = (failure: DispatchFailure): AudioPull =>
    Effect.gen(function*() {
      const broken = current.dispatched
      const atMs = millisOfBytes(said.bytes, broken.sampleRate)
      yield* current.close
      if (takeovers++ === takeoversMax) return yield* failure
      deadline = (yield* Clock.currentTimeMillis) + options.firstAudioMsMax
      route.note(`${nameOf(broken)} broke after ${atMs} ms: ${failure.code}.`)
      const repeatable = unbroken && broken.deterministic && broken.backend === "A"
      const seamless = repeatable ? yield* replay(broken) : undefined
      if (takeovers > takeoversMax) return yield* failure
      const other = seamless ?? (yield* resume(broken, atMs))
      if (other === undefined) {
        yield* Metric.update(brokenOff, 1)
        route.note("Nobody could go on in the same voice from there.")
        return yield* failure
      }
      current = other
      early = other.first
      shift = seamless === undefined ? atMs : 0
      unbroken &&= seamless !== undefined
      route.note(
        `${nameOf(other.dispatched)} went on at ${atMs} ms, ${
          seamless === undefined ? "with the next sentence; the rest of the broken one is lost" : "without a seam"
        }.`
      )
      yield* Effect.logWarning("backend taken over from", {
        code: failure.code,
        atMs,
        seamless: seamless !== undefined
      })
      yield* Metric.update(seamless === undefined ? takenBySentence : takenSeamless, 1)
      options.onTakeover(other.dispatched)
      return yield* next
    })

  const ask = Effect.fnUntraced(function*(backend: Backend, text: string) {
    const leftMillis = deadline - (yield* Clock.currentTimeMillis)
    if (leftMillis <= 0) return undefined
    const isLast = backend === "B" || (route.otherNodes() <= 1 && !others(current.dispatched.backend).includes("B"))
    return yield* route.attempt(backend, text, {
      firstAudioMsMax: waitOf(leftMillis, isLast),
      tried: route.tried,
      note: route.note
    }).pipe(
      Scope.provide(scope),
      Effect.catchIf(isBackends, (failure) => {
        route.note(`${backend} did not go on: ${failure.code}.`)
        return Effect.succeed(undefined)
      })
    )
  })

  /** The whole text again on another node, without what has been said. One that breaks before it comes there counts. */
  const replay = Effect.fnUntraced(function*(broken: Dispatched): Effect.fn.Return<
    Heard | undefined,
    DispatchRefusal
  > {
    for (let asked = 0; asked < replaysMax && route.otherNodes() > 0; asked++) {
      const again = yield* ask("A", options.text)
      if (again === undefined) continue
      const fits = again.dispatched.deterministic && isSame(again.dispatched, broken)
      const caughtUp = fits ? yield* catchUp(again) : undefined
      if (caughtUp !== undefined) return caughtUp
      yield* again.close
      if (!fits) continue
      if (takeovers++ === takeoversMax) return undefined
      deadline = (yield* Clock.currentTimeMillis) + options.firstAudioMsMax
    }
    return undefined
  })

  const catchUp = (again: Heard): Effect.Effect<Heard | undefined, DispatchRefusal> =>
    Effect.catchIf(said.leftOut(again), (error) => error !== otherSpeech && isBackends(error), (failure) => {
      route.note(`${nameOf(again.dispatched)} broke before it came to where the voice was.`)
      return Effect.as(Effect.logWarning("take-over broke", { code: failure.code }), undefined)
    })

  /** The text from the next sentence on, wherever the same speaker is. */
  const resume = Effect.fnUntraced(function*(broken: Dispatched, atMs: number): Effect.fn.Return<
    Heard | undefined,
    DispatchRefusal
  > {
    if (options.unbroken === true) return undefined
    const rest = restAfter(options.text, said.words, atMs, options.language)
    if (rest === undefined) return undefined
    for (const backend of [...(route.otherNodes() > 0 ? ["A" as const] : []), ...others(broken.backend)]) {
      const other = yield* ask(backend, rest)
      if (other === undefined) continue
      const fits = other.dispatched.sampleRate === broken.sampleRate &&
        (other.dispatched.backend !== broken.backend || isSame(other.dispatched, broken))
      if (fits) return other
      yield* other.close
    }
    return undefined
  })

  return { ...heard, pull: next }
}

const isBroken = (error: DispatchRefusal | Cause.Done): error is DispatchFailure =>
  !Cause.isDone(error) && isBackends(error)

const isSame = (a: Dispatched, b: Dispatched) =>
  a.engine === b.engine && a.model === b.model && a.sampleRate === b.sampleRate

const nameOf = ({ backend, nodeId }: Dispatched) => (nodeId === null ? backend : `Node ${nodeId}`)

const later = ({ pcm, words }: PcmChunk, ms: number): PcmChunk => ({
  pcm,
  words: words.map((word) => ({ ...word, startMs: word.startMs + ms, endMs: word.endMs + ms }))
})
