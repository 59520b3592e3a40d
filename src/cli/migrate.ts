/** `scaispeak migrate`: brings the database up to date and says what was applied. */
import { Console, Effect } from "effect"
import { Config } from "../Config.ts"
import { Database, migrate as applyMigrations } from "../services/Database.ts"

export const migrate = Effect.gen(function*() {
  const { databaseUrl } = yield* Config
  const applied = yield* Effect.provide(applyMigrations, Database.client(databaseUrl))
  yield* Console.log(applied.length === 0 ? "The database is up to date." : applied.join("\n"))
}).pipe(Effect.provide(Config.layer))
