/**
 * Starts, once for a test run and side by side, the real MariaDB, the real Redis and the S3-compatible store that tests
 * take from `inject.ts`, and stops them afterwards. A variable (SCAISPEAK_TEST_MARIADB_URL, SCAISPEAK_TEST_REDIS_URL,
 * SCAISPEAK_TEST_S3_ENDPOINT) uses a running server instead.
 */
import { createConnection } from "mysql2/promise"
import { randomBytes } from "node:crypto"
import type { TestProject } from "vitest/node"
import "./inject.ts"
import { startMariadb } from "./Mariadb.ts"
import { ensureEspeak, ensureVadModel } from "./Optional.ts"
import { ensurePrograms } from "./Programs.ts"
import { startRedis } from "./Redis.ts"
import { startS3 } from "./S3.ts"

type Stop = () => Promise<void>

interface Servers {
  readonly runName: string
  readonly mariadbUrl: string
  readonly redisUrl: string
  readonly s3Endpoint: string
  readonly stop: Stop
}

/** Every project calls this, and the first call starts the servers for all of them. */
let servers: Promise<Servers> | undefined
let users = 0

export default async (project: TestProject): Promise<Stop> => {
  users++
  servers ??= startServers()
  const { mariadbUrl, redisUrl, runName, s3Endpoint, stop } = await servers
  project.provide("runName", runName)
  project.provide("mariadbUrl", mariadbUrl)
  project.provide("redisUrl", redisUrl)
  project.provide("s3Endpoint", s3Endpoint)
  return async () => {
    if (--users === 0) await stop()
  }
}

const startServers = async (): Promise<Servers> => {
  await Promise.all([ensurePrograms(), ensureEspeak(), ensureVadModel()])
  const runName = `scaispeak_test_${randomBytes(3).toString("hex")}`
  const started = await Promise.allSettled([
    given("SCAISPEAK_TEST_MARIADB_URL", (url) => () => dropDatabases(url, runName)) ?? startMariadb(),
    given("SCAISPEAK_TEST_REDIS_URL") ?? startRedis(),
    given("SCAISPEAK_TEST_S3_ENDPOINT") ?? startS3()
  ])
  const [mariadb, redis, s3] = started
  const stop = async () => {
    await Promise.all(started.map((one) => one.status === "fulfilled" && one.value.stop()))
  }
  if (mariadb.status === "rejected" || redis.status === "rejected" || s3.status === "rejected") {
    await stop()
    throw started.find((one) => one.status === "rejected")?.reason
  }
  return {
    runName,
    mariadbUrl: mariadb.value.url,
    redisUrl: redis.value.url,
    s3Endpoint: "endpoint" in s3.value ? s3.value.endpoint : s3.value.url,
    stop
  }
}

const given = (variable: string, stop: (url: string) => Stop = () => async () => {}) => {
  const url = process.env[variable]
  return url ? { url, stop: stop(url) } : undefined
}

/** A server that is not ours keeps nothing of this run. */
const dropDatabases = async (url: string, runName: string) => {
  const connection = await createConnection(url)
  const [rows] = await connection.query(
    "SELECT schema_name FROM information_schema.schemata WHERE schema_name LIKE ?",
    [
      `${runName.replaceAll("_", "\\_")}%`
    ]
  )
  for (const row of rows as Array<Record<string, string>>) {
    for (const name of Object.values(row)) await connection.query(`DROP DATABASE ${name}`)
  }
  await connection.end()
}
