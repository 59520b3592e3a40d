/**
 * The service is killed (SIGKILL) while it clones voices, just before each step of theirs: what is started again on the same
 * stores shows a whole voice or nothing, and the sweeper leaves no blob and no row of what never was.
 */
import { describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Result, Stream } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { decode } from "../../src/Config.ts"
import { Database } from "../../src/services/Database.ts"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import * as FilesystemObjects from "../../src/services/ObjectStore/Filesystem.ts"
import * as S3Objects from "../../src/services/ObjectStore/S3.ts"
import { PendingBlobs } from "../../src/services/PendingBlobs.ts"
import { clone, submit } from "../http/Cloning/forms.ts"
import * as ScriptedNode from "../layers/ScriptedNode.ts"
import { stores } from "../layers/stores.ts"
import { get, until } from "../layers/TestServer.ts"
import { root, start, startFlags } from "../programs/Server.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-killed-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

/** Where an intake stands when the process dies. */
interface Step {
  readonly before: string
  /** Seen one after the other; at the last it stalls. `blob`: of any put; `row`: of the voice's. */
  readonly texts: (blob: string, row: string) => ReadonlyArray<string>
  /** What it leaves before the sweeper comes. */
  readonly left: readonly [blobs: number, pending: number]
}

/** The lives of a process: in each its intakes stand at these steps when it is killed. What stops all of it comes last. */
const lives: ReadonlyArray<ReadonlyArray<Step>> = [
  [
    { before: "its first blob", texts: (blob) => [blob], left: [0, 1] },
    { before: "its second blob", texts: (blob) => [blob, blob], left: [1, 1] },
    { before: "its third blob", texts: (blob) => [blob, blob, blob], left: [2, 1] },
    { before: "its answer", texts: () => ["HTTP/1.1 201"], left: [3, 0] },
    { before: "its rows are committed", texts: (_, row) => [row, "=COMMIT"], left: [3, 1] }
  ],
  [{ before: "its intent", texts: () => ["INSERT INTO pending_blobs"], left: [0, 0] }]
]
/** The one that had only to be answered. */
const made = 1

for (const [name, storesEnv] of stores) {
  describe(`an intake that is killed, on ${name}`, () => {
    it.live("leaves a whole voice or nothing", () =>
      Effect.gen(function*() {
        const node = yield* ScriptedNode.make
        const dataDir = yield* folder
        const env = {
          ...((yield* storesEnv) as { readonly SCAISPEAK_S3_BUCKET?: string }),
          SCAISPEAK_PORT: "0",
          SCAISPEAK_GRPC_PORT: "0",
          SCAISPEAK_DATA_DIR: dataDir,
          SCAISPEAK_NODES: node.address,
          SCAISPEAK_ENCODER_WORKERS: "1"
        }
        const settings = Result.getOrThrow(decode(env))
        const context = yield* Layer.build(
          PendingBlobs.layer.pipe(
            Layer.provideMerge(
              settings.s3 === undefined
                ? FilesystemObjects.layer({ folder: join(dataDir, "objects") })
                : S3Objects.layer(settings.s3)
            ),
            Layer.provideMerge(Database.layer(settings.databaseUrl))
          )
        )
        const sql = Context.get(context, SqlClient.SqlClient)
        const left = Effect.gen(function*() {
          const tables = ["pending_blobs", "consents", "consent_details", "consent_events"]
          const [pending, ...consents] = yield* Effect.forEach(tables, (table) =>
            Effect.map(sql<{ n: number }>`SELECT COUNT(*) AS n FROM ${sql(table)}`, ([row]) => Number(row!.n)))
          const blobs = yield* Stream.runCollect(Context.get(context, ObjectStore).list("scaispeak/voices/"))
          return { blobs: blobs.length, pending: pending!, consents }
        }).pipe(Effect.orDie)
        const sweep = (hours: number) =>
          Effect.orDie(Context.get(context, PendingBlobs).sweep(Date.now() + hours * 3_600_000))

        const serve = (stalls: ReadonlyArray<ReadonlyArray<string>>, stalled: string) =>
          start([
            process.execPath,
            ...startFlags,
            "--import",
            join(root, "test/programs/stalling.ts"),
            join(root, "src/main.ts"),
            "serve"
          ], { env: { ...env, SCAISPEAK_TEST_STALLS: JSON.stringify(stalls), SCAISPEAK_TEST_STALLED: stalled } })
        const isWire = "SCAISPEAK_S3_BUCKET" in env
        const blob = isWire
          ? `PUT /${env.SCAISPEAK_S3_BUCKET}/scaispeak/voices/`
          : `rename ${join(dataDir, "objects", "scaispeak", "voices")}`
        // Over the wire a statement is named by its number, and known by what it brings.
        const row = isWire ? "A name that nobody has" : "INSERT INTO voices"

        let visible = 0
        for (const steps of lives) {
          const stalled = yield* folder
          const server = yield* serve(
            steps.map(({ texts }) =>
              texts(blob, row)
            ),
            stalled
          )
          const listed = yield* get(`${server.url}/voices?kind=cloned`, server.key)
          assert.equal(listed.json.data.items.length, visible, "what the life before left")
          for (const [i, step] of steps.entries()) {
            const before = yield* left
            const form = { ...clone, display_name: "A name that nobody has" }
            yield* Effect.forkScoped(Effect.ignoreCause(submit(`${server.url}/voices`, form, server.key)))
            yield* until(Effect.sync(() => existsSync(join(stalled, `stalled-${i}`))), (isThere) => isThere)
            if (i === steps.length - 1) {
              server.child.kill("SIGKILL")
              yield* Effect.promise(() => server.exited)
            }
            const after = yield* left
            assert.deepEqual([after.blobs - before.blobs, after.pending - before.pending], step.left, step.before)
          }
          // Intakes that young may still be at work.
          assert.equal(yield* sweep(0), 0)
          yield* sweep(1.1)
          assert.equal((yield* left).blobs, 3 * made)
          yield* sweep(2.2)
          assert.deepEqual(yield* left, { blobs: 3 * made, pending: 0, consents: [made, made, made] })
          visible = made
        }
      }), 60_000)
  })
}
