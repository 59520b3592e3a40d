/**
 * What became of a synthesis: its usage row, with the explanation of how it was routed.
 *
 * A caller sees its own; who administers the tenant sees all of the tenant's. Everything else is absent.
 */
import type { Duration } from "effect"
import { Context, Effect, Layer, Schedule, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Backend } from "../domain/BackendPolicy.ts"
import { SynthesisNotFound } from "../domain/Failure.ts"
import type { StorageUnavailable } from "../domain/Failure.ts"
import type { SynthesisId } from "../domain/Ids.ts"
import type { AuthUser } from "../domain/Permission.ts"
import { orUnavailable } from "./Database.ts"
import { Ledger } from "./Ledger.ts"

const Routing = Schema.Struct({ reasons: Schema.Array(Schema.String), ignoredParams: Schema.Array(Schema.String) })

const Row = Schema.Struct({
  synthesis_id: Schema.String,
  request_id: Schema.String,
  user_id: Schema.String,
  voice_id: Schema.String,
  backend: Backend,
  node_id: Schema.NullOr(Schema.String),
  engine: Schema.String,
  model: Schema.String,
  characters: Schema.Number,
  audio_ms: Schema.Number,
  first_audio_ms: Schema.NullOr(Schema.Number),
  total_ms: Schema.Number,
  outcome: Schema.Literals(["completed", "aborted", "failed"]),
  error_code: Schema.NullOr(Schema.String),
  /** Null in rows from before routing was recorded. */
  routing: Schema.NullOr(Schema.fromJsonString(Routing)),
  tags: Schema.fromJsonString(Schema.Array(Schema.String)),
  created_at: Schema.DateTimeUtcFromMillis
})
export type SynthesisRecord = typeof Row.Type

const decode = Schema.decodeUnknownEffect(Row)

/** A row is written behind its call; who asks at once is answered when it is there. */
const writtenWithin: Duration.Input = "1 second"
const lookEvery: Duration.Input = "20 millis"

export class SynthesisRecords extends Context.Service<SynthesisRecords, {
  readonly find: (
    caller: AuthUser,
    id: SynthesisId
  ) => Effect.Effect<SynthesisRecord, SynthesisNotFound | StorageUnavailable>
}>()("scaispeak/SynthesisRecords") {
  static readonly layer = Layer.effect(
    SynthesisRecords,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const ledger = yield* Ledger

      const read = Effect.fn("SynthesisRecords.read")(
        function*({ permissions, tenantId, userId }: AuthUser, id: SynthesisId) {
          const whose = permissions.has("scaispeak:admin") ? sql`1 = 1` : sql`user_id = ${userId}`
          const [row] = yield* orUnavailable(sql`
          SELECT ${sql.literal(Object.keys(Row.fields).join(", "))} FROM usage_records
          WHERE synthesis_id = ${id} AND tenant_id = ${tenantId} AND ${whose}`)
          return row === undefined ? yield* new SynthesisNotFound() : yield* Effect.orDie(decode(row))
        }
      )

      const allWritten = Effect.repeat(Effect.delay(ledger.depth, lookEvery), {
        until: (rows) => rows === 0,
        schedule: Schedule.forever
      }).pipe(Effect.timeoutOption(writtenWithin))

      return SynthesisRecords.of({
        find: (caller, id) =>
          Effect.catchTag(
            read(caller, id),
            "SynthesisNotFound",
            (absent) =>
              Effect.flatMap(
                ledger.depth,
                (rows) => rows === 0 ? Effect.fail(absent) : Effect.andThen(allWritten, read(caller, id))
              )
          )
      })
    })
  )
}
