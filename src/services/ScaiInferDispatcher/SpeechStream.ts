/** Speech as a node sends it: the events of an accepted call, in order, as chunks. */
import { Cause, Clock, Effect, Stream } from "effect"
import type { PcmChunk, SpokenWord } from "../../domain/PcmChunk.ts"
import type { SynthesizeEvent } from "../../proto/scaiinfer/v1/audio.ts"
import type { SpeechFailure } from "../Dispatch.ts"
import type * as EventReader from "../EventReader.ts"
import { broken } from "./NodeFailure.ts"
import type { NodeError } from "./NodeFailure.ts"

/**
 * `early`: what came together with the header. `firstAudioBy`: epoch ms. The wait between two messages after the first
 * audio is at most `chunkTimeoutMs`.
 */
export const speechOf = (
  take: (waiting: EventReader.Waiting) => EventReader.Take<SynthesizeEvent>,
  early: ReadonlyArray<SynthesizeEvent>,
  firstAudioBy: number,
  chunkTimeoutMs: number,
  on: {
    readonly onFirstAudio: () => void
    readonly onFailure: (error: NodeError) => Effect.Effect<never, SpeechFailure>
  }
): Stream.Stream<PcmChunk, SpeechFailure> => {
  let stash = early
  let heard = false
  let finished = false
  const next = Effect.suspend(() => heard ? take({ silenceMsMax: chunkTimeoutMs, eager: false }) : first)
  const first = Effect.flatMap(
    Clock.currentTimeMillis,
    (now) => take({ silenceMsMax: Math.max(1, firstAudioBy - now), eager: true })
  )
  const pull: Effect.Effect<readonly [PcmChunk, ...Array<PcmChunk>], SpeechFailure | Cause.Done> = Effect.suspend(
    () => {
      if (stash.length > 0) {
        const events = stash
        stash = []
        return emit(events)
      }
      return Effect.matchEffect(next, {
        onSuccess: emit,
        onFailure: (error): Effect.Effect<never, SpeechFailure | Cause.Done> => {
          if (!Cause.isDone(error)) return on.onFailure(error)
          // An end without `done` is a cut sentence, whatever the transport says.
          return finished ? Effect.fail(error) : on.onFailure(broken("The node stopped in mid-speech."))
        }
      })
    }
  )
  const emit = (events: ReadonlyArray<SynthesizeEvent>) => {
    const [first, ...more] = toChunks(events)
    if (!heard && events.some(({ event }) => event?.$case === "audio")) {
      heard = true
      on.onFirstAudio()
    }
    finished ||= events.some(({ event }) => event?.$case === "done")
    return first === undefined ? pull : Effect.succeed([first, ...more] as const)
  }
  return Stream.fromPull(Effect.succeed(pull))
}

const toChunks = (events: ReadonlyArray<SynthesizeEvent>): Array<PcmChunk> => {
  const chunks: Array<PcmChunk> = []
  for (const { event } of events) {
    if (event?.$case === "audio") chunks.push({ pcm: event.value.pcm, words: noWords })
    else if (event?.$case === "words") chunks.push({ pcm: noAudio, words: event.value.words.map(native) })
  }
  return chunks
}

const noWords: ReadonlyArray<SpokenWord> = []
const noAudio = new Uint8Array(0)
const native = (word: Omit<SpokenWord, "source">): SpokenWord => ({ ...word, source: "native" })
