/** The databases that every suite over SQL runs against, each fresh, migrated and empty, and the signals of one process. */
import { Effect, Layer, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Database } from "../../src/services/Database.ts"
import { Signals } from "../../src/services/Signals.ts"
import { mariadbUrl } from "../servers/inject.ts"

/** A file that goes with the scope. */
const sqliteUrl = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "scaispeak-sql-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
).pipe(Effect.map((folder) => `sqlite:${join(folder, "test.sqlite")}`))

const databases = [
  { name: "MariaDB", url: Effect.promise(mariadbUrl) },
  { name: "SQLite", url: sqliteUrl }
] as const

/**
 * `freshUrl` is for tests that open the database several times or before it is migrated; `layer` for all others. One
 * value of `layer` is one database: suites that share it share their rows.
 */
export const sqlLayers = databases.map(({ name, url }) => ({
  name,
  freshUrl: Effect.map(url, (text) => Redacted.make(text)),
  layer: Layer.merge(
    Layer.unwrap(Effect.map(url, (text) => Database.layer(Redacted.make(text)))),
    Layer.fresh(Signals.layerMemory)
  )
}))

/** A service as another process has it, which no signal of this one reaches. */
export const apart = <A, E, R>(layer: Layer.Layer<A, E, R | Signals>): Layer.Layer<A, E, Exclude<R, Signals>> =>
  Layer.fresh(layer.pipe(Layer.provide(Layer.fresh(Signals.layerMemory)))) as Layer.Layer<A, E, Exclude<R, Signals>>
