/** How the service stops, and what it says when it cannot start. */
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { cleanEnvironment, root, serve, startFlags } from "../programs/Server.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-e2e-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const settings = Effect.map(
  folder,
  (SCAISPEAK_DATA_DIR) => ({
    SCAISPEAK_DATA_DIR,
    SCAISPEAK_PORT: "0",
    SCAISPEAK_GRPC_PORT: "0",
    SCAISPEAK_ASYNC_THRESHOLD_CHARS: "1000"
  })
)

/** Some forty seconds of speech. */
const longText = "The birch canoe slid on the smooth planks, and the crew looked back at the quiet shore. ".repeat(8)

const speak = (url: string, key: string) =>
  fetch(`${url}/speak`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ text: longText, voice_id: "vox_flite_kal16", response_format: "pcm" })
  })

describe("the service", () => {
  it.live.each(["SIGTERM", "SIGINT"] as const)(
    "finishes a running reply on %s, then ends with 0 and its node with it",
    (signal) =>
      Effect.gen(function*() {
        const env = yield* settings
        const { child, exited, key, url } = yield* serve(env)
        const response = yield* Effect.promise(() => speak(url, key))
        child.kill(signal)
        const bytes = yield* Effect.promise(() => response.arrayBuffer())
        assert.ok(bytes.byteLength > 20 * 16000 * 2, "the reply came whole")
        assert.equal(yield* Effect.promise(() => exited), 0)
        yield* Effect.promise(() => assert.rejects(fetch(`${url}/healthz`)))
      }),
    60_000
  )

  it.live("leaves no node behind even when it is killed", () =>
    Effect.gen(function*() {
      const env = yield* settings
      const { child, exited, output } = yield* serve(env)
      const address = /Engine nodes\s+(\S+)/u.exec(output())![1]!
      child.kill("SIGKILL")
      yield* Effect.promise(() => exited)
      const gone = Effect.promise(() =>
        fetch(`http://${address}`).then(() => false, (error: Error) =>
          String((error.cause as Error).message).includes("ECONNREFUSED"))
      )
      yield* Effect.repeat(Effect.delay(gone, 50), {
        until: (yes) =>
          yes
      }).pipe(Effect.timeout("15 seconds"))
    }), 60_000)

  it.live("says in one line that a port is taken, and which setting moves it", () =>
    Effect.gen(function*() {
      const first = yield* serve(yield* settings)
      const port = new URL(first.url).port
      const { SCAISPEAK_DATA_DIR } = yield* settings
      for (const setting of ["SCAISPEAK_PORT", "SCAISPEAK_GRPC_PORT"]) {
        const ports = { SCAISPEAK_PORT: "0", SCAISPEAK_GRPC_PORT: "0", [setting]: port }
        const second = spawnSync(
          process.execPath,
          [...startFlags, join(root, "src/main.ts")],
          {
            env: cleanEnvironment({ SCAISPEAK_DATA_DIR, ...ports, SCAISPEAK_LOG_LEVEL: "none" }),
            encoding: "utf8"
          }
        )
        assert.equal(second.status, 1)
        assert.equal(second.stdout, "")
        assert.equal(
          second.stderr,
          `127.0.0.1:${port} is taken; stop what listens there or set ${setting} (0 = any free port).\n`
        )
      }
    }), 60_000)

  it.live("refuses wrong settings with one line each, and starts nothing", () =>
    Effect.sync(() => {
      const { status, stderr } = spawnSync(
        process.execPath,
        [...startFlags, join(root, "src/main.ts"), "serve"],
        { env: cleanEnvironment({ SCAISPEAK_PORT: "eighty", SCAISPEAK_PROT: "80" }), encoding: "utf8" }
      )
      assert.equal(status, 1)
      assert.deepEqual(stderr.trim().split("\n").toSorted(), [
        "SCAISPEAK_PORT: a whole number from 0 to 65535",
        "SCAISPEAK_PROT: no such setting"
      ])
    }))
})
