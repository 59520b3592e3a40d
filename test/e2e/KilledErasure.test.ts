/**
 * The service is killed (SIGKILL) while it erases a voice, just before it writes down what each step removed: what is
 * started again on the same stores brings the erasure to its end.
 */
import { it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Database } from "../../src/services/Database.ts"
import { clone, submit } from "../http/Cloning/forms.ts"
import * as ScriptedNode from "../layers/ScriptedNode.ts"
import { get, send, until } from "../layers/TestServer.ts"
import { root, start, startFlags } from "../programs/Server.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-killed-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const end = "INSERT INTO erasure_audit"
/** Statements that the process dies before, one life each. */
const deaths = ["UPDATE erasures SET counts_json", "DELETE FROM consent_details", end]

it.live("an erasure that is killed is carried to its end", () =>
  Effect.gen(function*() {
    const node = yield* ScriptedNode.make
    const dataDir = yield* folder
    const context = yield* Layer.build(Database.layer(Redacted.make(`sqlite:${join(dataDir, "scaispeak.sqlite")}`)))
    const sql = Context.get(context, SqlClient.SqlClient)
    const serve = (stalls: ReadonlyArray<ReadonlyArray<string>>, stalled: string) =>
      start([
        process.execPath,
        ...startFlags,
        "--import",
        join(root, "test/programs/stalling.ts"),
        join(root, "src/main.ts"),
        "serve"
      ], {
        env: {
          SCAISPEAK_PORT: "0",
          SCAISPEAK_GRPC_PORT: "0",
          SCAISPEAK_DATA_DIR: dataDir,
          SCAISPEAK_NODES: node.address,
          SCAISPEAK_ENCODER_WORKERS: "1",
          SCAISPEAK_TEST_STALLS: JSON.stringify(stalls),
          SCAISPEAK_TEST_STALLED: stalled
        }
      })
    const states = Effect.orDie(sql<{ state: string }>`SELECT state FROM erasures ORDER BY erasure_id`)

    for (const [i, death] of deaths.entries()) {
      const stalled = yield* folder
      const server = yield* serve([i === 0 ? [death] : [end, death]], stalled)
      // What the life before left behind, whose lease has run out, comes to its end first.
      yield* Effect.orDie(sql`UPDATE erasures SET due_at = 0 WHERE state = 'pending'`)
      yield* until(states, (rows) => rows.every(({ state }) => state === "done"))
      const made = yield* submit(`${server.url}/voices`, clone, server.key)
      assert.equal(made.status, 201)
      yield* Effect.forkScoped(Effect.ignoreCause(
        send("DELETE", `${server.url}/voices/${made.json.data.voice_id}`, "", server.key)
      ))
      yield* until(Effect.sync(() => existsSync(join(stalled, "stalled-0"))), (isThere) => isThere)
      server.child.kill("SIGKILL")
      yield* Effect.promise(() => server.exited)
      assert.equal((yield* states).filter(({ state }) => state === "pending").length, 1, `before ${death}, life ${i}`)
    }
    const server = yield* serve([], yield* folder)
    yield* Effect.orDie(sql`UPDATE erasures SET due_at = 0 WHERE state = 'pending'`)
    yield* until(states, (rows) => rows.length === deaths.length && rows.every(({ state }) => state === "done"))
    const audit = yield* get(`${server.url}/admin/erasure/audit`, server.key)
    assert.equal(audit.json.data.items.length, deaths.length)
    for (const { erasure_id } of audit.json.data.items) {
      const { json } = yield* get(`${server.url}/admin/erasure/${erasure_id}/verify`, server.key)
      assert.deepEqual(json.data.left, [])
    }
    assert.deepEqual(yield* Effect.promise(() => readdir(join(dataDir, "cache", "references"))), [])
    assert.equal((yield* get(`${server.url}/voices?kind=cloned`, server.key)).json.data.items.length, 0)
  }), 60_000)
