/**
 * The calls that run now, by voice, so that a voice can be stopped: revoked consent and erasure end what is being spoken
 * on every process, not only what is asked for next.
 *
 * A stopped voice's calls end at once here and, by signal, in every other process. Where no signal arrives, because Redis
 * is away or there is none, a process asks the database about the voices that it is speaking every 5 s, and whenever it
 * may have missed a signal. A call costs an entry in a set and nothing else.
 */
import { Context, Effect, Exit, Layer, Schedule, Scope } from "effect"
import type { Duration } from "effect"
import { VoiceNotReady } from "../domain/Failure.ts"
import type { VoiceId } from "../domain/Ids.ts"
import { held } from "./Held.ts"
import { onSignal, Signals } from "./Signals.ts"
import { VoiceRepo } from "./VoiceRepo.ts"

/** As long as a voice is remembered, so that calls that run and calls that begin notice alike. */
const askedEvery: Duration.Input = "5 seconds"

/** A call that can be stopped. */
export interface RunningCall {
  readonly voiceId: VoiceId
  /** Where its backends work, part of the caller's scope. Closed when the voice is stopped. */
  readonly scope: Scope.Closeable
  /** Set once the voice was stopped: whatever else the call fails with then is a consequence. */
  stopped: VoiceNotReady | undefined
  /** What else has to happen then, at once: a surface that waits for its client reads no failure from the audio. */
  readonly onStop: Array<(failure: VoiceNotReady) => void>
}

export class RunningVoices extends Context.Service<RunningVoices, {
  /** Runs until the scope closes. To be called before the voice is looked up. */
  readonly enter: (voiceId: VoiceId) => Effect.Effect<RunningCall, never, Scope.Scope>
  /**
   * Makes every process forget the voice and end its calls with `VoiceNotReady`. To be called once the database says that
   * it is not ready: a call that begins afterwards reads it there.
   */
  readonly stop: (voiceId: VoiceId, reason: string) => Effect.Effect<void>
}>()("scaispeak/RunningVoices") {
  static readonly layer = Layer.effect(
    RunningVoices,
    Effect.gen(function*() {
      const voices = yield* VoiceRepo
      const signals = yield* Signals
      const calls = new Set<RunningCall>()

      const stopHere = Effect.fnUntraced(function*(voiceId: VoiceId, failure: VoiceNotReady) {
        yield* voices.forget(voiceId)
        const those = [...calls].filter((call) => call.voiceId === voiceId && call.stopped === undefined)
        for (const call of those) {
          call.stopped = failure
          for (const react of call.onStop) react(failure)
        }
        yield* Effect.forEach(those, (call) => Scope.close(call.scope, Exit.void), {
          concurrency: "unbounded",
          discard: true
        })
        if (those.length > 0) {
          yield* Effect.logInfo("running calls were stopped", {
            voice_id: voiceId,
            calls: those.length,
            reason: failure.reason
          })
        }
      })

      /** What the database says of the voices that are being spoken. While it is away, nothing. */
      const ask = Effect.suspend(() =>
        voices.notReady([...new Set(Array.from(calls, ({ voiceId }) => voiceId))]).pipe(
          Effect.flatMap(Effect.forEach(([voiceId, failure]) => stopHere(voiceId, failure), { discard: true })),
          Effect.ignore
        )
      )
      const tellOthers = yield* onSignal(signals, "voice.stopped", (signal) =>
        signal._tag === "Resync"
          ? ask
          : stopHere(signal.payload.voiceId, new VoiceNotReady({ reason: signal.payload.reason })))
      yield* Effect.forkScoped(Effect.repeat(Effect.delay(ask, askedEvery), Schedule.forever))

      const leave = (call: RunningCall) => Effect.sync(() => calls.delete(call))
      return RunningVoices.of({
        enter: (voiceId) =>
          Effect.flatMap(Effect.scope, (parent) =>
            held(
              Effect.map(Scope.fork(parent), (scope) => {
                const call: RunningCall = { voiceId, scope, stopped: undefined, onStop: [] }
                calls.add(call)
                return call
              }),
              leave
            )),
        stop: (voiceId, reason) =>
          Effect.andThen(
            stopHere(voiceId, new VoiceNotReady({ reason })),
            tellOthers({ voiceId, reason })
          )
      })
    })
  )
}
