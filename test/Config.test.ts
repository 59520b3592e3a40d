import { describe, it } from "@effect/vitest"
import { Redacted, Result } from "effect"
import assert from "node:assert/strict"
import { inspect } from "node:util"
import { decode } from "../src/Config.ts"

const settings = (env: Record<string, string>) => Result.getOrThrow(decode(env))
const lines = (env: Record<string, string>) => {
  const decoded = decode(env)
  return Result.isFailure(decoded) ? decoded.failure.lines : []
}

describe("settings", () => {
  it("have defaults for a machine with nothing on it", () => {
    const { databaseUrl, embeddedNode, host, port, rateLimits, redisUrl, relay, s3 } = settings({
      SCAISPEAK_DATA_DIR: "/d"
    })
    assert.deepEqual({ host, port, redisUrl, s3, relay, embeddedNode }, {
      host: "127.0.0.1",
      port: 8080,
      redisUrl: undefined,
      s3: undefined,
      relay: undefined,
      embeddedNode: true
    })
    assert.equal(Redacted.value(databaseUrl), "sqlite:/d/scaispeak.sqlite")
    assert.deepEqual(rateLimits, { key: 0, user: 0, tenant: 0, partner: 0 }, "an embedded install limits nobody")
  })

  it("limit rates as documented once the database is a server's", () => {
    const { rateLimits } = settings({ SCAISPEAK_DATABASE_URL: "mysql://u:p@h/d", SCAISPEAK_RATE_LIMIT_USER: "7" })
    assert.deepEqual(rateLimits, { key: 60, user: 7, tenant: 1000, partner: 5000 })
  })

  it("hold clips to documented limits", () => {
    assert.deepEqual(settings({}).preflight, {
      durationMsMin: 5000,
      durationMsMax: 25_000,
      voiceActivityMin: 0.4,
      peakDbfsMax: -0.5,
      snrDbMin: 15
    })
    assert.equal(settings({ SCAISPEAK_PREFLIGHT_PEAK_DBFS_MAX: "-3.5" }).preflight.peakDbfsMax, -3.5)
    for (
      const [name, value] of [["PEAK_DBFS_MAX", "loud"], ["VOICE_ACTIVITY_MIN", "1.1"], ["DURATION_MAX_MS", "4999"]]
    ) {
      assert.equal(lines({ [`SCAISPEAK_PREFLIGHT_${name}`]: value! }).length, 1, name)
    }
  })

  it("start no node beside the server when nodes are named", () => {
    const { embeddedNode, nodes } = settings({ SCAISPEAK_NODES: "a:1, b:2" })
    assert.deepEqual({ embeddedNode, nodes }, { embeddedNode: false, nodes: ["a:1", "b:2"] })
  })

  it("take an empty variable for an absent one", () => {
    assert.equal(settings({ SCAISPEAK_PORT: "" }).port, 8080)
  })

  it.each(
    [
      [{ SCAISPEAK_PORT: "70000" }, ["SCAISPEAK_PORT: a whole number from 0 to 65535"]],
      [{ SCAISPEAK_PROT: "80" }, ["SCAISPEAK_PROT: no such setting"]],
      [{ SCAISPEAK_DATABASE_URL: "postgres://x" }, [
        "SCAISPEAK_DATABASE_URL: a URL that starts with mysql:// or sqlite://"
      ]],
      [{ SCAISPEAK_NODES: "a" }, ["SCAISPEAK_NODES: host:port,…"]],
      [{ SCAISPEAK_RELAY_URL: "http://r" }, ["SCAISPEAK_RELAY_KIND: needed beside SCAISPEAK_RELAY_URL"]],
      [{ SCAISPEAK_SCAIKEY_AUDIENCE: "a" }, ["SCAISPEAK_SCAIKEY_ISSUER: needed beside SCAISPEAK_SCAIKEY_AUDIENCE"]],
      [{ SCAISPEAK_BOOTSTRAP_KEY: "secret" }, [
        "SCAISPEAK_BOOTSTRAP_KEY: Expected sgk_ and at least 32 URL-safe characters"
      ]]
    ] as const
  )("that are wrong (%o) are named, one line each", (env, expected) => assert.deepEqual(lines(env), expected))

  it("never show a secret", () => {
    const shown = inspect(
      settings({
        SCAISPEAK_DATABASE_URL: "mysql://u:pa55@h/d",
        SCAISPEAK_REDIS_URL: "redis://:pa55@h",
        SCAISPEAK_BOOTSTRAP_KEY: `sgk_${"pa55".repeat(10)}`
      }),
      { depth: 9 }
    )
    assert.ok(!shown.includes("pa55"))
    assert.ok(!String(lines({ SCAISPEAK_BOOTSTRAP_KEY: "pa55" })).includes("pa55"))
  })
})
