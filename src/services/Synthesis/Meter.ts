/** Speech on its way out: counted into the account of its call, and given word times where the backend has none. */
import { Cause, Effect, Exit, Stream } from "effect"
import { millisOfBytes } from "../../domain/AudioFormat.ts"
import type { Failure } from "../../domain/Failure.ts"
import type { PcmChunk } from "../../domain/PcmChunk.ts"
import { estimate } from "../../domain/WordTimes.ts"
import type { HoldFacts } from "../Accounting.ts"
import type { DispatchRefusal } from "../Dispatch.ts"
import type { AudioPull, Chunks, Heard } from "./FirstSound.ts"

/** Passes audio on, keeping the account of it. */
export const meter = ({ dispatched, first, pull }: Heard, facts: HoldFacts) => {
  let bytes = 0
  const count = (chunks: Chunks) => {
    for (const { pcm } of chunks) bytes += pcm.length
    facts.audioMs = millisOfBytes(bytes, dispatched.sampleRate)
    return chunks
  }
  let early: Heard["first"] | undefined = first
  const next: AudioPull = Effect.suspend(() => {
    if (early === undefined) return Effect.map(pull, count)
    const chunks = early
    early = undefined
    return Effect.succeed(count(chunks))
  })
  return Stream.fromPull(Effect.succeed(next)).pipe(
    Stream.onExit((exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) facts.outcome = "completed"
        else {
          const failure = exit.cause.reasons.find(Cause.isFailReason)?.error
          if (failure !== undefined) fail(facts, failure)
        }
      })
    )
  )
}

/** How the account ends when the call does not. */
export const fail = (facts: HoldFacts, failure: Pick<Failure, "code">) => {
  facts.outcome = "failed"
  facts.errorCode = failure.code
}

/** Where the backend gave no word times, estimates them once the length is known and sends them with a last, empty chunk. */
export const withWordTimes = (audio: Stream.Stream<PcmChunk, DispatchRefusal>, text: string, facts: HoldFacts) => {
  let native = false
  return audio.pipe(
    Stream.tap(({ words }) => Effect.sync(() => (native ||= words.length > 0))),
    Stream.concat(
      Stream.suspend(() =>
        native ? Stream.empty : Stream.make({ pcm: new Uint8Array(0), words: estimate(text, facts.audioMs ?? 0) })
      )
    )
  )
}
