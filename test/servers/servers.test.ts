/** The servers that other tests stand on are real, empty at every call, and refuse what a real one refuses. */
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3"
import { Upload } from "@aws-sdk/lib-storage"
import { Redis } from "ioredis"
import { createConnection } from "mysql2/promise"
import assert from "node:assert/strict"
import { Readable } from "node:stream"
import { describe, it } from "vitest"
import { mariadbUrl, redisUrl, s3Options } from "./inject.ts"
import { startMariadb } from "./Mariadb.ts"
import { startRedis } from "./Redis.ts"
import type { S3Options } from "./S3.ts"

const clientOf = (options: S3Options) =>
  new S3Client({
    endpoint: options.endpoint,
    region: options.region,
    forcePathStyle: true,
    credentials: options,
    maxAttempts: 1
  })

const rejectedAs = (name: string) => (error: Error) => {
  assert.equal(error.name, name)
  return true
}

describe("MariaDB", () => {
  it("gives an empty database at every call", async () => {
    const [one, other] = await Promise.all([mariadbUrl(), mariadbUrl()])
    assert.notEqual(one, other)
    const connection = await createConnection(one)
    const [tables] = await connection.query("SHOW TABLES")
    assert.deepEqual(tables, [])
    await connection.end()
  })

  it("keeps its data and its port over a crash", async () => {
    const server = await startMariadb()
    const before = await createConnection(server.url)
    before.on("error", () => {})
    await before.query("CREATE TABLE kept (id INT PRIMARY KEY)")
    await server.kill()
    await assert.rejects(createConnection(server.url), { code: "ECONNREFUSED" })
    await server.start()
    const after = await createConnection(server.url)
    await after.query("SELECT id FROM kept")
    await after.end()
    await server.stop()
    await assert.rejects(createConnection(server.url), { code: "ECONNREFUSED" })
  })
})

describe("Redis", () => {
  it("gives an empty database at every call", async () => {
    const [one, other] = [new Redis(await redisUrl()), new Redis(await redisUrl())]
    await one.set("key", "value")
    assert.equal(await other.get("key"), null)
    assert.equal(await one.dbsize(), 1)
    one.disconnect()
    other.disconnect()
  })

  it("answers nothing while it is paused", async () => {
    const server = await startRedis()
    const redis = new Redis(server.url, { commandTimeout: 100, retryStrategy: () => null })
    assert.equal(await redis.ping(), "PONG")
    server.pause()
    await assert.rejects(redis.ping(), /timed out/)
    server.resume()
    assert.equal(await redis.ping(), "PONG")
    redis.disconnect()
    await server.stop()
  })
})

describe("S3", () => {
  it("returns the bytes that were put, whole, streamed or in parts", async () => {
    const options = await s3Options()
    const client = clientOf(options)
    const bytes = Buffer.alloc(11_000_000, "scaispeak ")
    const small = bytes.subarray(0, 100_000)
    const target = { Bucket: options.bucket }
    await client.send(new PutObjectCommand({ ...target, Key: "whole/a b+c", Body: small }))
    await client.send(
      new PutObjectCommand({ ...target, Key: "streamed", Body: Readable.from([small]), ContentLength: small.length })
    )
    await new Upload({ client, params: { ...target, Key: "parts", Body: Readable.from([bytes]) } }).done()
    for (const [key, wanted] of [["whole/a b+c", small], ["streamed", small], ["parts", bytes]] as const) {
      const reply = await client.send(new GetObjectCommand({ ...target, Key: key }))
      assert.ok(wanted.equals((await reply.Body?.transformToByteArray()) ?? Buffer.alloc(0)), key)
    }
    client.destroy()
  })

  it("refuses a wrong secret and an unknown key id", async () => {
    const options = await s3Options()
    const command = () => new PutObjectCommand({ Bucket: options.bucket, Key: "a", Body: "a" })
    await assert.rejects(
      clientOf({ ...options, secretAccessKey: "wrong" }).send(command()),
      rejectedAs("SignatureDoesNotMatch")
    )
    await assert.rejects(
      clientOf({ ...options, accessKeyId: "nobody" }).send(command()),
      rejectedAs("InvalidAccessKeyId")
    )
  })

  it("refuses bytes that do not fit their checksum", async () => {
    const options = await s3Options()
    await assert.rejects(
      clientOf(options).send(
        new PutObjectCommand({ Bucket: options.bucket, Key: "a", Body: "a", ChecksumCRC32: "AAAAAA==" })
      ),
      rejectedAs("BadDigest")
    )
  })

  it("lets one of two first writes win", async () => {
    const options = await s3Options()
    const client = clientOf(options)
    const write = (Body: string) =>
      client.send(new PutObjectCommand({ Bucket: options.bucket, Key: "once", Body, IfNoneMatch: "*" }))
    const results = await Promise.allSettled([write("a"), write("b")])
    assert.deepEqual(results.map((result) => result.status).sort(), ["fulfilled", "rejected"])
    client.destroy()
  })
})
