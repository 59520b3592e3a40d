/** The commands beside `serve`, as an operator types them. */
import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtemp, readFile, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { cleanEnvironment, root, serve } from "../programs/Server.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-e2e-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const scaispeak = (env: Record<string, string>, ...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", join(root, "bin/scaispeak.js"), ...args], {
    env: cleanEnvironment(env),
    encoding: "utf8"
  })

describe("scaispeak", () => {
  it.live(
    "migrates once, makes keys that work, speaks into a file, and takes the keys away",
    () =>
      Effect.gen(function*() {
        const SCAISPEAK_DATA_DIR = yield* folder
        const env = { SCAISPEAK_DATA_DIR, SCAISPEAK_PORT: "0", SCAISPEAK_GRPC_PORT: "0" }
        assert.match(scaispeak(env, "migrate").stdout, /^0001_/u)
        assert.equal(scaispeak(env, "migrate").stdout, "The database is up to date.\n")

        const service = yield* serve(env)
        assert.equal((yield* Effect.promise(() => stat(join(SCAISPEAK_DATA_DIR, "bootstrap-key")))).mode & 0o777, 0o600)
        const made = scaispeak(env, "keys", "create", "--tenant", "acme", "--user", "ada", "--name", "cli")
        const [, keyId, key] = /^(key_\w+) {2}(sgk_[\w-]{43})\n$/u.exec(made.stdout)!
        assert.ok(
          scaispeak(env, "keys", "list", "--tenant", "acme").stdout.startsWith(`${keyId}  ada  cli  scaispeak:`)
        )

        const file = join(SCAISPEAK_DATA_DIR, "hello.flac")
        const server = new URL(service.url).origin
        const spoken = scaispeak(
          {},
          "speak",
          "Hello there.",
          "-o",
          file,
          "--url",
          server,
          "--key",
          key!,
          "--voice",
          "vox_flite_slt"
        )
        assert.equal(spoken.status, 0, spoken.stderr)
        assert.equal((yield* Effect.promise(() => readFile(file))).toString("latin1", 0, 4), "fLaC")
        const long = "Hello there. ".repeat(45)
        const job = scaispeak(
          {},
          "speak",
          long,
          "-o",
          file,
          "--url",
          server,
          "--key",
          key!,
          "--voice",
          "vox_flite_kal16"
        )
        assert.equal(job.status, 0, job.stderr)
        assert.equal((yield* Effect.promise(() => readFile(file))).toString("latin1", 0, 4), "fLaC")
        const silent = scaispeak({}, "speak", "你好", "-o", file, "--url", server, "--key", key!)
        assert.equal(silent.status, 1)
        assert.match(silent.stderr, /VALIDATION_ERROR/u)

        assert.equal(scaispeak(env, "keys", "revoke", "--tenant", "acme", keyId!).stdout, `${keyId} is revoked.\n`)
        assert.equal(scaispeak(env, "keys", "list", "--tenant", "acme").stdout, "")
      }),
    60_000
  )

  it("prints settings and where they come from, and no secret", () => {
    const { status, stdout } = scaispeak(
      { SCAISPEAK_DATABASE_URL: "mysql://u:pa55@h/d", SCAISPEAK_PORT: "9" },
      "config"
    )
    assert.equal(status, 0)
    assert.match(stdout, /SCAISPEAK_PORT +environment/u)
    assert.match(stdout, /SCAISPEAK_HOST +default/u)
    assert.ok(!stdout.includes("pa55"))
  })
})
