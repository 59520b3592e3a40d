/** Writes that end something are tried for as long as a restart of the database takes. */
import { Effect, Schedule } from "effect"
import { isFailure } from "../domain/Failure.ts"

const insisting = Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("2 seconds")]).pipe(
  Schedule.upTo({ duration: "60 seconds" })
)

export const insist = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.retry(self, {
    schedule: insisting,
    while: (error) => isFailure(error) && error._tag === "StorageUnavailable"
  })
