/**
 * The database: MariaDB (`mysql://…`) or SQLite (`sqlite:` and a file), chosen by its URL, migrated before use.
 *
 * Services write their SQL once for both and pass it through {@link orUnavailable}: a database that is away becomes
 * `StorageUnavailable`, anything else that SQL can say is a bug and dies with its cause.
 */
import { Clock, Context, Effect, Layer, Redacted, Schema } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { StorageUnavailable } from "../domain/Failure.ts"
import * as Migrations from "./sql/Migrations.ts"
import { tenants } from "./sql/migrations/0001_tenants.ts"
import { voices } from "./sql/migrations/0002_voices.ts"
import { ledger } from "./sql/migrations/0003_ledger.ts"
import { idempotency } from "./sql/migrations/0004_idempotency.ts"
import { synthJobs } from "./sql/migrations/0005_synth_jobs.ts"
import { routing } from "./sql/migrations/0006_routing.ts"
import { consents } from "./sql/migrations/0007_consents.ts"
import { licences } from "./sql/migrations/0008_licences.ts"
import { voicePages } from "./sql/migrations/0009_voice_pages.ts"
import { intake } from "./sql/migrations/0010_intake.ts"
import { erasure } from "./sql/migrations/0011_erasure.ts"
import { recordings } from "./sql/migrations/0012_recordings.ts"
import { jobs } from "./sql/migrations/0013_jobs.ts"
import { webhooks } from "./sql/migrations/0014_webhooks.ts"
import { jobDeaths } from "./sql/migrations/0015_job_deaths.ts"
import * as MysqlClient from "./sql/MysqlClient.ts"
import { ensurePartitions } from "./sql/Partitions.ts"
import * as SqliteClient from "./sql/SqliteClient.ts"

const migrations: ReadonlyArray<Migrations.Migration> = [
  tenants,
  voices,
  ledger,
  idempotency,
  synthJobs,
  routing,
  consents,
  licences,
  voicePages,
  intake,
  erasure,
  recordings,
  jobs,
  webhooks,
  jobDeaths
]

/** The database cannot be used at start. The message names it without its password. */
export class DatabaseNotReady extends Schema.TaggedError<DatabaseNotReady>()("DatabaseNotReady", {
  database: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `The database ${this.database} cannot be used: ${
      this.cause instanceof Error ? this.cause.message : this.cause
    }`
  }
}

/** Applies pending migrations, makes the partitions ahead, and returns the names of what was applied. */
export const migrate = Effect.gen(function*() {
  const applied = yield* Migrations.run(migrations)
  yield* ensurePartitions(yield* Clock.currentTimeMillis)
  return applied
}).pipe(Effect.withSpan("Database.migrate"))

/** Lost connections, timeouts and deadlocks pass by themselves; refused credentials are mended outside. */
const isAway = (error: SqlError.SqlError): boolean => error.isRetryable || error.reason._tag === "AuthenticationError"

const unavailable = (error: SqlError.SqlError): Effect.Effect<never, StorageUnavailable> =>
  isAway(error) ? Effect.fail(new StorageUnavailable({ store: "database", cause: error })) : Effect.die(error)

/** Turns what SQL fails with into `StorageUnavailable` or a defect. */
export const orUnavailable = <A, E, R>(
  effect: Effect.Effect<A, E | SqlError.SqlError, R>
): Effect.Effect<A, Exclude<E, SqlError.SqlError> | StorageUnavailable, R> =>
  effect.pipe(
    Effect.catchIf(SqlError.isSqlError, unavailable),
    // A transaction whose rollback fails dies of it, even when only the connection was lost.
    Effect.catchDefect((defect) => SqlError.isSqlError(defect) ? unavailable(defect) : Effect.die(defect))
  ) as Effect.Effect<A, Exclude<E, SqlError.SqlError> | StorageUnavailable, R>

export class Database extends Context.Service<Database, {
  /** Succeeds when a statement is answered within a second. */
  readonly health: Effect.Effect<void, StorageUnavailable>
}>()("scaispeak/Database") {
  /** The client alone, for `migrate` from the command line. MariaDB is reached for at the first statement. */
  static readonly client = (url: Redacted.Redacted): Layer.Layer<SqlClient.SqlClient, DatabaseNotReady> => {
    const text = Redacted.value(url)
    if (!text.startsWith("sqlite:")) return MysqlClient.layer(url)
    return SqliteClient.layer(text.slice("sqlite:".length)).pipe(
      Layer.catch((cause) => Layer.effect(SqlClient.SqlClient, notReady(url, cause)))
    )
  }

  /** A migrated database. Fails at once when it is away: whoever starts the service decides about another try. */
  static readonly layer = (
    url: Redacted.Redacted
  ): Layer.Layer<Database | SqlClient.SqlClient, DatabaseNotReady> =>
    Layer.effect(
      Database,
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        yield* Effect.catch(migrate, (cause) => notReady(url, cause))
        const cause = new Error(`no answer in ${healthMillisMax} ms`)
        return Database.of({
          health: sql`SELECT 1`.pipe(
            orUnavailable,
            Effect.timeoutOrElse({
              duration: healthMillisMax,
              orElse: () => Effect.fail(new StorageUnavailable({ store: "database", cause }))
            }),
            Effect.asVoid
          )
        })
      })
    ).pipe(Layer.provideMerge(Database.client(url)))
}

const healthMillisMax = 1_000

const notReady = (url: Redacted.Redacted, cause: unknown) =>
  Effect.fail(new DatabaseNotReady({ database: withoutSecrets(Redacted.value(url)), cause }))

/** Scheme, host, port and database; or the file. */
const withoutSecrets = (text: string): string => {
  if (!URL.canParse(text) || text.startsWith("sqlite:")) return text
  const { host, pathname, protocol } = new URL(text)
  return `${protocol}//${host}${pathname}`
}
