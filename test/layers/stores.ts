/** What the service may stand on: nothing but a folder, or the servers of a real installation. The same tests run on both. */
import { Effect } from "effect"
import { mariadbUrl, redisUrl, s3Options } from "../servers/inject.ts"

const unlimited = {
  SCAISPEAK_RATE_LIMIT_KEY: "0",
  SCAISPEAK_RATE_LIMIT_USER: "0",
  SCAISPEAK_RATE_LIMIT_TENANT: "0",
  SCAISPEAK_RATE_LIMIT_PARTNER: "0"
}

const production = Effect.promise(async (): Promise<Record<string, string>> => {
  const [database, redis, s3] = await Promise.all([mariadbUrl(), redisUrl(), s3Options()])
  return {
    ...unlimited,
    SCAISPEAK_DATABASE_URL: database,
    SCAISPEAK_REDIS_URL: redis,
    SCAISPEAK_S3_ENDPOINT: s3.endpoint,
    SCAISPEAK_S3_BUCKET: s3.bucket,
    SCAISPEAK_S3_REGION: s3.region,
    SCAISPEAK_S3_ACCESS_KEY_ID: s3.accessKeyId,
    SCAISPEAK_S3_SECRET_ACCESS_KEY: s3.secretAccessKey
  }
})

/** Settings by name. */
export const stores: ReadonlyArray<readonly [name: string, env: Effect.Effect<Record<string, string>>]> = [
  ["SQLite, memory and a folder", Effect.succeed(unlimited)],
  ["MariaDB, Redis and S3", production]
]
