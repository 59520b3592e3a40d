/**
 * What a backend says, as long as its voice may speak.
 *
 * Stopping a voice closes the scope that its backends work in, so that a wait for the next sound ends in some failure of
 * theirs; the caller is told the reason instead. No fiber watches a call for that.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { VoiceNotReady } from "../../domain/Failure.ts"
import type { DispatchRefusal } from "../Dispatch.ts"
import type { RunningCall } from "../RunningVoices.ts"
import type { AudioPull, Heard } from "./FirstSound.ts"

/** From the moment that the voice is stopped, every failure is that one, and there is no more audio. */
export const stoppable = (
  call: RunningCall,
  heard: Effect.Effect<Heard, DispatchRefusal, Scope.Scope>
): Effect.Effect<Heard, DispatchRefusal, Scope.Scope> => {
  const whileAllowed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
    Effect.suspend((): Effect.Effect<A, E | VoiceNotReady, R> =>
      call.stopped !== undefined
        ? Effect.fail(call.stopped)
        : Effect.catchCause(
          self,
          (cause): Effect.Effect<never, E | VoiceNotReady> =>
            call.stopped === undefined ? Effect.failCause(cause) : Effect.fail(call.stopped)
        )
    )
  return Effect.flatMap(whileAllowed(heard), (heard) => {
    const pull: AudioPull = whileAllowed(heard.pull)
    return call.stopped === undefined ? Effect.succeed({ ...heard, pull }) : Effect.fail(call.stopped)
  })
}
