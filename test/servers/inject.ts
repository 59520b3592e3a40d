/**
 * What a test takes from the servers that `globalSetup.ts` started: something fresh and empty at every call, so that
 * test files may run side by side.
 */
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3"
import { Redis } from "ioredis"
import { createConnection } from "mysql2/promise"
import { randomBytes } from "node:crypto"
import { inject } from "vitest"
import { credentials, type S3Options } from "./S3.ts"

declare module "vitest" {
  interface ProvidedContext {
    readonly mariadbUrl: string
    readonly redisUrl: string
    readonly s3Endpoint: string
    /** Starts the name of everything that this run makes. */
    readonly runName: string
  }
}

const freshName = (separator: string) => `${inject("runName")}${separator}${randomBytes(5).toString("hex")}`

/** `mysql://…`, an empty database. */
export const mariadbUrl = async (): Promise<string> => {
  const url = new URL(inject("mariadbUrl"))
  const database = freshName("_")
  const connection = await createConnection(url.href)
  await connection.query(`CREATE DATABASE ${database} CHARACTER SET utf8mb4`)
  await connection.end()
  url.pathname = `/${database}`
  return url.href
}

/**
 * `redis://…/N`, an empty logical database. Channels are not kept apart by Redis: a test that listens to one which
 * others may publish on wants `startRedis`.
 */
export const redisUrl = async (): Promise<string> => {
  const url = new URL(inject("redisUrl"))
  const redis = new Redis(url.href)
  const [, databases] = (await redis.config("GET", "databases")) as [string, string]
  const next = await redis.incr("scaispeak-test-databases")
  // Database 0 holds the counter.
  const database = 1 + (next % (Number(databases) - 1))
  await redis.select(database)
  await redis.flushdb()
  redis.disconnect()
  url.pathname = `/${database}`
  return url.href
}

/** An empty bucket, and credentials that open it. Wrong ones do not. */
export const s3Options = async (): Promise<S3Options> => {
  const options = { endpoint: inject("s3Endpoint"), bucket: freshName("-").replaceAll("_", "-"), ...credentialsInUse() }
  const { accessKeyId, bucket, endpoint, region, secretAccessKey } = options
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey }
  })
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  client.destroy()
  return options
}

/** The variables beside SCAISPEAK_TEST_S3_ENDPOINT, when a running store is used. */
const credentialsInUse = () => ({
  region: process.env.SCAISPEAK_TEST_S3_REGION ?? credentials.region,
  accessKeyId: process.env.SCAISPEAK_TEST_S3_ACCESS_KEY_ID ?? credentials.accessKeyId,
  secretAccessKey: process.env.SCAISPEAK_TEST_S3_SECRET_ACCESS_KEY ?? credentials.secretAccessKey
})
