/**
 * The voices that have been fitted, kept so that only the first call in a voice waits for its fitting, and calls that come
 * meanwhile wait for the same one.
 *
 * Holds {@link voicesMax}, the last used; 3 KB each. A clip that was refused stays refused; a fitting that broke is tried
 * again by the next call. One that nobody waits for any more is finished: the voice is likely to be asked for again.
 */
import { Deferred, Effect, type Scope } from "effect"
import type { EngineFailed } from "../Engine.ts"
import type { FitJob, FitMade } from "./Fitting.ts"

const voicesMax = 256

export interface Fits {
  /** `key` names what the job asks for, so that the same key is the same voice. */
  readonly get: (key: string, job: FitJob) => Effect.Effect<FitMade, EngineFailed>
}

/** `fit` does the work; it ends with the scope. */
export const make = Effect.fnUntraced(
  function*(fit: (job: FitJob) => Effect.Effect<FitMade, EngineFailed>) {
    const scope: Scope.Scope = yield* Effect.scope
    const voices = new Map<string, Deferred.Deferred<FitMade, EngineFailed>>()

    const begin = (key: string, job: FitJob) => {
      const voice = Deferred.makeUnsafe<FitMade, EngineFailed>()
      const forget = Effect.sync(() => voices.get(key) === voice && voices.delete(key))
      const oldest = voices.size < voicesMax ? undefined : voices.keys().next().value
      if (oldest !== undefined) voices.delete(oldest)
      voices.set(key, voice)
      return fit(job).pipe(
        Effect.onError(() => forget),
        Deferred.into(voice),
        Effect.forkIn(scope),
        Effect.andThen(Deferred.await(voice))
      )
    }

    return {
      get: (key, job) =>
        Effect.suspend(() => {
          const known = voices.get(key)
          if (known === undefined) return begin(key, job)
          // To the young end.
          voices.delete(key)
          voices.set(key, known)
          return Deferred.await(known)
        })
    } satisfies Fits as Fits
  }
)
