/** One suite for every store: the folder, and an S3-compatible server. */
import { CreateBucketCommand, DeleteBucketCommand, S3Client } from "@aws-sdk/client-s3"
import { describe, it, layer } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Layer, Redacted, Stream } from "effect"
import { TestClock } from "effect/testing"
import assert from "node:assert/strict"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises"
import type { ClientRequest } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ObjectStore } from "../../src/services/ObjectStore.ts"
import * as Filesystem from "../../src/services/ObjectStore/Filesystem.ts"
import { checkKey, checkPrefix } from "../../src/services/ObjectStore/Keys.ts"
import * as S3 from "../../src/services/ObjectStore/S3.ts"
import { s3Options } from "../servers/inject.ts"
import { credentials, type S3Options, startS3 } from "../servers/S3.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-objects-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const redacted = (options: S3Options) => ({
  ...options,
  accessKeyId: Redacted.make(options.accessKeyId),
  secretAccessKey: Redacted.make(options.secretAccessKey)
})

const stores = {
  folder: Layer.unwrap(Effect.map(folder, (folder) => Filesystem.layer({ folder }))),
  S3: Layer.unwrap(Effect.map(Effect.promise(s3Options), (options) => S3.layer(redacted(options))))
}

const bytes = (text: string) => new TextEncoder().encode(text)
const pattern = (size: number, seed = 0) => {
  const all = new Uint8Array(size)
  for (let i = 0; i < size; i++) all[i] = i * 31 + (i >> 8) + seed
  return all
}
const audio = { contentType: "audio/mpeg" }

const bodyOf = (key: string, range?: { offset: number; length?: number }) =>
  Effect.scoped(Effect.gen(function*() {
    const object = yield* (yield* ObjectStore).get(key, range)
    return Buffer.concat(yield* Stream.runCollect(object.body))
  }))

/** Chunks of odd sizes, so that no boundary falls on a part's; each overwrites the one before, as an encoder's do. */
const streamOf = (all: Uint8Array, size = 300_007) => {
  const chunk = new Uint8Array(size)
  return Stream.range(0, Math.ceil(all.length / size) - 1).pipe(
    Stream.rechunk(1),
    Stream.map((i) => {
      const part = all.subarray(i * size, (i + 1) * size)
      chunk.set(part)
      return chunk.subarray(0, part.length)
    })
  )
}

for (const [name, store] of Object.entries(stores)) {
  layer(store)(`ObjectStore: ${name}`, (it) => {
    it.effect("gives back what was put, with its facts", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        const put = yield* objects.put("facts/a.mp3", bytes("hello"), audio)
        assert.equal(put.size, 5)
        assert.deepEqual(yield* objects.head("facts/a.mp3"), put)
        assert.match(put.etag, /^".+"$/u)
        const { body: _, ...facts } = yield* objects.get("facts/a.mp3")
        assert.deepEqual(facts, { size: 5, contentType: "audio/mpeg", etag: put.etag })
        assert.equal(Buffer.from(yield* bodyOf("facts/a.mp3")).toString(), "hello")
        assert.deepEqual(new Uint8Array(yield* objects.read("facts/a.mp3")), bytes("hello"))
      }))

    it.effect("replaces bytes, type and etag together", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        const first = yield* objects.put("replace/a", bytes("one"), audio)
        const second = yield* objects.put("replace/a", bytes("two!"), { contentType: "text/plain" })
        assert.notEqual(first.etag, second.etag)
        assert.deepEqual(yield* objects.head("replace/a"), { size: 4, contentType: "text/plain", etag: second.etag })
      }))

    it.effect("keeps an empty object", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        yield* objects.put("empty/bytes", new Uint8Array(0), audio)
        yield* objects.put("empty/stream", Stream.empty, audio)
        for (const key of ["empty/bytes", "empty/stream"]) {
          assert.equal((yield* objects.head(key)).size, 0)
          assert.equal((yield* bodyOf(key)).length, 0)
          assert.equal((yield* bodyOf(key, { offset: 3 })).length, 0)
          assert.equal((yield* objects.read(key)).length, 0)
        }
      }))

    it.effect("takes streams of any length, cut anywhere", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        const part = 8 * 1024 * 1024
        for (const size of [1, 1_000_000, part - 1, part, part + 1, 2 * part + 12_345]) {
          const all = pattern(size, size)
          const facts = yield* objects.put("streams/a", streamOf(all), audio)
          assert.equal(facts.size, size)
          assert.equal((yield* objects.head("streams/a")).etag, facts.etag)
          assert.equal(Buffer.compare(yield* bodyOf("streams/a"), all), 0, `${size} bytes`)
        }
        const all = pattern(part + 5)
        yield* objects.put("streams/bytes", all, audio)
        assert.equal(Buffer.compare(yield* objects.read("streams/bytes"), all), 0)
      }))

    it.effect("reads a range, and nothing beyond the end", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        const all = pattern(200_000)
        yield* objects.put("range/a", all, audio)
        const ranges: ReadonlyArray<readonly [{ offset: number; length?: number }, Uint8Array]> = [
          [{ offset: 0, length: 10 }, all.subarray(0, 10)],
          [{ offset: 70_001, length: 100_000 }, all.subarray(70_001, 170_001)],
          [{ offset: 199_999 }, all.subarray(199_999)],
          [{ offset: 199_990, length: 500 }, all.subarray(199_990)],
          [{ offset: 5, length: 0 }, new Uint8Array(0)],
          [{ offset: 200_000 }, new Uint8Array(0)],
          [{ offset: 200_001, length: 5 }, new Uint8Array(0)]
        ]
        for (const [range, expected] of ranges) {
          assert.equal(Buffer.compare(yield* bodyOf("range/a", range), expected), 0, JSON.stringify(range))
          assert.equal((yield* objects.get("range/a", range)).size, 200_000)
        }
      }))

    it.effect("says what is not there", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        for (const range of [undefined, { offset: 9 }, { offset: 0, length: 0 }]) {
          const failure = yield* Effect.flip(objects.get("nothing/here", range))
          assert.equal(failure._tag, "ObjectNotFound")
        }
        assert.equal((yield* Effect.flip(objects.head("nothing/here")))._tag, "ObjectNotFound")
        assert.equal((yield* Effect.flip(objects.read("nothing")))._tag, "ObjectNotFound")
        yield* objects.remove("nothing/here")
      }))

    it.effect("removes one object and leaves its neighbours", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        yield* objects.put("remove/a/1", bytes("1"), audio)
        yield* objects.put("remove/a/2", bytes("2"), audio)
        yield* objects.remove("remove/a/1")
        assert.equal((yield* Effect.flip(objects.head("remove/a/1")))._tag, "ObjectNotFound")
        assert.equal((yield* objects.head("remove/a/2")).size, 1)
      }))

    it.effect("lists and removes a prefix, whose name is a folder's", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        const keys = ["vox_1/reference.wav", "vox_1/consent/audio.ogg", "vox_1/consent/text.txt"]
        for (const key of [...keys, "vox_12/reference.wav"]) yield* objects.put(`erase/${key}`, bytes(key), audio)
        const listed = yield* Stream.runCollect(objects.list("erase/vox_1/"))
        assert.deepEqual(
          [...listed].sort((a, b) => a.key.localeCompare(b.key)),
          [...keys].sort().map((key) => ({ key: `erase/${key}`, size: key.length }))
        )
        assert.equal(yield* objects.removeAll("erase/vox_1/"), 3)
        assert.equal(yield* objects.removeAll("erase/vox_1/"), 0)
        assert.deepEqual(yield* Stream.runCollect(objects.list("erase/vox_1/")), [])
        assert.equal((yield* objects.head("erase/vox_12/reference.wav")).size, 20)
      }))

    it.effect("lists and removes more than a page of keys", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        yield* Effect.forEach(
          Array.from({ length: 1_050 }, (_, i) => i),
          (i) => objects.put(`many/${i}`, bytes("x"), audio),
          { concurrency: 32, discard: true }
        )
        assert.equal(yield* Stream.runCount(objects.list("many/")), 1_050)
        assert.equal(yield* objects.removeAll("many/"), 1_050)
        assert.equal(yield* Stream.runCount(objects.list("many/")), 0)
      }), 60_000)

    it.effect("never shows a mixture to readers while writers replace", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        const size = 150_000
        const versions = Array.from({ length: 4 }, (_, i) => new Uint8Array(size + i).fill(i))
        const write = (i: number) =>
          objects.put("race/a", streamOf(versions[i % 4]!, 40_001), { contentType: `text/v${i % 4}` })
        yield* write(0)
        const writers = yield* Effect.forkChild(Effect.forEach(Array.from({ length: 24 }, (_, i) => i), write, {
          concurrency: 4,
          discard: true
        }))
        for (let i = 0; i < 40; i++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const object = yield* objects.get("race/a")
            const body = Buffer.concat(yield* Stream.runCollect(object.body))
            const version = body[0]!
            assert.equal(object.contentType, `text/v${version}`)
            assert.equal(object.size, size + version)
            assert.equal(Buffer.compare(body, versions[version]!), 0)
          }))
        }
        yield* Fiber.join(writers)
      }))

    it.effect("keeps the old object when a put breaks or is interrupted", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        yield* objects.put("kept/a", bytes("old"), audio)
        const large = streamOf(pattern(9 * 1024 * 1024))
        for (const lead of [Stream.succeed(bytes("half")), large]) {
          const broken = Stream.concat(lead, Stream.fail("cut" as const))
          assert.equal(yield* Effect.flip(objects.put("kept/a", broken, audio)), "cut")

          const stuck = yield* Deferred.make<void>()
          const waiting = Stream.concat(lead, Stream.drain(Stream.fromEffect(Deferred.succeed(stuck, undefined))))
          const fiber = yield* Effect.forkChild(objects.put("kept/a", Stream.concat(waiting, Stream.never), audio))
          yield* Deferred.await(stuck)
          yield* Fiber.interrupt(fiber)
          assert.equal(Buffer.from(yield* objects.read("kept/a")).toString(), "old")
        }
      }))

    it.effect("stops a body where its reader stops", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        yield* objects.put("stop/a", pattern(700_000), audio)
        for (let i = 0; i < 300; i++) {
          const first = yield* Effect.scoped(Effect.gen(function*() {
            const { body } = yield* objects.get("stop/a")
            // Every third is opened and never read, every third interrupted.
            if (i % 3 === 0) return 1
            if (i % 3 === 1) return (yield* Stream.runCollect(Stream.take(body, 1))).length
            const fiber = yield* Effect.forkChild(Stream.runForEach(body, () => Effect.never))
            yield* Effect.yieldNow
            yield* Fiber.interrupt(fiber)
            return 1
          }))
          assert.equal(first, 1)
        }
        // Had those kept their sockets or handles, there would be none left for this.
        assert.equal((yield* objects.read("stop/a")).length, 700_000)
      }))

    it.effect("dies of a key that the service would never make", () =>
      Effect.gen(function*() {
        const objects = yield* ObjectStore
        for (const key of ["../a", "/a", "a//b", "a/", "", "a\0b", ".tmp/x", "a b", "a\\b", `a/${"x".repeat(129)}`]) {
          for (
            const use of [
              objects.put(key, bytes("x"), audio),
              Effect.scoped(objects.get(key)),
              objects.read(key),
              objects.head(key),
              objects.remove(key)
            ]
          ) {
            const exit = yield* Effect.exit(use)
            assert.ok(Exit.hasDies(exit), key)
          }
        }
        for (const prefix of ["", "/", "a", "../", ".tmp/"]) {
          assert.ok(Exit.hasDies(yield* Effect.exit(objects.removeAll(prefix))), prefix)
          assert.ok(Exit.hasDies(yield* Effect.exit(Stream.runDrain(objects.list(prefix)))), prefix)
        }
      }))

    it.effect("is healthy", () => ObjectStore.use((objects) => objects.health))
  })
}

describe("object keys", () => {
  it("has no two spellings of one place", () => {
    for (const key of ["a", "voices/vox_1/reference.wav", "a-b/c_d.e", "x".repeat(128)]) {
      assert.equal(checkKey(key), key)
    }
    assert.throws(() => checkKey(Array.from({ length: 300 }, () => "a").join("/")), TypeError)
    assert.equal(checkPrefix("voices/vox_1/"), "voices/vox_1/")
    assert.throws(() => checkPrefix("voices/vox_1"), TypeError)
  })
})

describe("ObjectStore: folder on its own", () => {
  const opened = Effect.gen(function*() {
    const path = yield* folder
    const objects = yield* Layer.build(Filesystem.layer({ folder: path }))
    return { path, objects: yield* Effect.provide(ObjectStore, objects) }
  })

  it.effect("keeps an object in one file that begins with the object", () =>
    Effect.gen(function*() {
      const { objects, path } = yield* opened
      yield* objects.put("a/b.txt", bytes("hello"), { contentType: "text/plain" })
      const file = yield* Effect.promise(() => readFile(join(path, "a/b.txt")))
      assert.equal(file.subarray(0, 5).toString(), "hello")
      assert.equal(file.length, 5 + 512)
    }))

  it.effect("leaves no folders behind what it removes, and no drafts behind puts", () =>
    Effect.gen(function*() {
      const { objects, path } = yield* opened
      yield* objects.put("a/b/c/1", bytes("1"), audio)
      yield* objects.put("a/b/d/2", bytes("2"), audio)
      yield* objects.put("x/y/3", bytes("3"), audio)
      yield* Effect.flip(objects.put("x/z", Stream.fail("cut"), audio))
      yield* objects.removeAll("a/b/")
      yield* objects.remove("x/y/3")
      assert.deepEqual(yield* Effect.promise(() => readdir(path)), [".tmp"])
      assert.deepEqual(yield* Effect.promise(() => readdir(join(path, ".tmp"))), [])
    }))

  it.effect("puts into a folder that is being removed", () =>
    Effect.gen(function*() {
      const { objects } = yield* opened
      yield* Effect.forEach(
        Array.from({ length: 200 }, (_, i) => i),
        (i) => Effect.all([objects.put(`a/b/${i}`, bytes("x"), audio), objects.removeAll("a/")], { concurrency: 2 }),
        { concurrency: 8, discard: true }
      )
      yield* objects.removeAll("a/")
      assert.equal(yield* Stream.runCount(objects.list("a/")), 0)
    }))

  it.effect("clears away what a dead process left", () =>
    Effect.gen(function*() {
      const { objects, path } = yield* opened
      yield* objects.put("a", bytes("x"), audio)
      const [dead, live] = [join(path, ".tmp/dead"), join(path, ".tmp/live")]
      yield* Effect.promise(async () => {
        await writeFile(dead, "x")
        await writeFile(live, "x")
        await utimes(dead, 1_000, 1_000)
        await utimes(live, 5_000, 5_000)
      })
      yield* TestClock.setTime(6_000_000)
      yield* Layer.build(Filesystem.layer({ folder: path }))
      assert.deepEqual(yield* Effect.promise(() => readdir(join(path, ".tmp"))), ["live"])
    }))

  it.effect("does not hand out a file that it has not written", () =>
    Effect.gen(function*() {
      const { objects, path } = yield* opened
      yield* Effect.promise(() => writeFile(join(path, "alien"), "x".repeat(2000)))
      assert.equal((yield* Effect.flip(objects.read("alien")))._tag, "StorageUnavailable")
    }))

  it.effect("is away when the folder cannot be", () =>
    Effect.gen(function*() {
      const { path } = yield* opened
      yield* Effect.promise(() => writeFile(join(path, "file"), ""))
      const context = yield* Layer.build(Filesystem.layer({ folder: join(path, "file/below") }))
      const objects = yield* Effect.provide(ObjectStore, context)
      assert.equal((yield* Effect.flip(objects.health)).store, "objects")
      assert.equal((yield* Effect.flip(objects.put("a", bytes("x"), audio)))._tag, "StorageUnavailable")
    }))
})

describe("ObjectStore: S3 on its own", () => {
  /** A private store with a bucket, so that the bucket or the server can be taken away. */
  const privateStore = Effect.gen(function*() {
    const server = yield* Effect.acquireRelease(
      Effect.promise(startS3),
      (server) => Effect.promise(() => server.stop())
    )
    const options = { ...credentials, endpoint: server.endpoint, bucket: "private" }
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => new S3Client({ ...options, forcePathStyle: true, credentials: options })),
      (client) => Effect.sync(() => client.destroy())
    )
    const bucket = { Bucket: options.bucket }
    yield* Effect.promise(() => client.send(new CreateBucketCommand(bucket)))
    const build = (changes: Partial<S3Options>) =>
      Effect.flatMap(
        Layer.build(S3.layer(redacted({ ...options, ...changes }))),
        (context) => Effect.provide(ObjectStore, context)
      )
    /** This store does not give up a bucket while an upload to it is open, and has no other way to ask. */
    const giveUp = Effect.exit(Effect.tryPromise(() => client.send(new DeleteBucketCommand(bucket))))
    return { server, build, giveUp }
  })

  /** Node's own news of its HTTP requests: a request of this kind has begun, or has been answered. */
  const seen = (channel: string, method: string, path: RegExp) =>
    Effect.callback<void>((resume) => {
      const look = (message: unknown) => {
        const { request } = message as { readonly request: ClientRequest }
        if (request.method === method && path.test(request.path)) resume(Effect.void)
      }
      subscribe(channel, look)
      return Effect.sync(() => unsubscribe(channel, look))
    })

  const moments: ReadonlyArray<readonly [string, Effect.Effect<void>]> = [
    ["while it is begun", seen("http.client.request.start", "POST", /uploads/u)],
    ["while its first part goes up", seen("http.client.request.start", "PUT", /partNumber=1&/u)],
    ["when its first part is up", seen("http.client.response.finish", "PUT", /partNumber=1&/u)]
  ]
  for (const [when, moment] of moments) {
    it.live(`leaves no upload behind that is interrupted ${when}`, () =>
      Effect.gen(function*() {
        const { build, giveUp } = yield* privateStore
        const objects = yield* build({})
        const reached = yield* Effect.forkChild(moment, { startImmediately: true })
        const stalled = Stream.concat(streamOf(pattern(12 * 1024 * 1024)), Stream.never)
        const fiber = yield* Effect.forkChild(objects.put("a", stalled, audio))
        yield* Fiber.join(reached)
        if (when === "when its first part is up") assert.ok(Exit.isFailure(yield* giveUp), "an open upload is seen")
        yield* Fiber.interrupt(fiber)
        assert.ok(Exit.isSuccess(yield* giveUp))
      }))
  }

  it.live("leaves no upload behind when a body breaks", () =>
    Effect.gen(function*() {
      const { build, giveUp } = yield* privateStore
      const objects = yield* build({})
      const broken = Stream.concat(streamOf(pattern(20 * 1024 * 1024)), Stream.fail("cut" as const))
      assert.equal(yield* Effect.flip(objects.put("a", broken, audio)), "cut")
      assert.ok(Exit.isSuccess(yield* giveUp))
    }))

  it.live("is away in time when the server is gone, hangs, or does not know us", () =>
    Effect.gen(function*() {
      const { build, server } = yield* privateStore
      const objects = yield* build({})
      yield* objects.health
      yield* objects.put("a", bytes("x"), audio)

      const strangers = yield* build({ secretAccessKey: "somebody-else" })
      assert.equal((yield* Effect.flip(strangers.health)).store, "objects")
      assert.equal((yield* Effect.flip(strangers.read("a")))._tag, "StorageUnavailable")
      const lost = yield* build({ bucket: "no-such-bucket" })
      assert.equal((yield* Effect.flip(lost.health)).store, "objects")
      assert.equal((yield* Effect.flip(lost.read("a")))._tag, "StorageUnavailable")

      server.pause()
      const [waited, failure] = yield* Effect.timed(Effect.flip(objects.health))
      assert.equal(failure.store, "objects")
      assert.ok(Duration.toMillis(waited) < 2_500, `${waited}`)
      const reading = yield* Effect.forkChild(objects.read("a"))
      yield* Effect.sleep("50 millis")
      const [stopped] = yield* Effect.timed(Fiber.interrupt(reading))
      assert.ok(Duration.toMillis(stopped) < 2_500, "an interrupted read waits for nobody")
      server.resume()
      yield* objects.health

      yield* Effect.promise(() => server.kill())
      assert.equal((yield* Effect.flip(objects.health)).store, "objects")
      assert.equal((yield* Effect.flip(objects.put("a", bytes("x"), audio)))._tag, "StorageUnavailable")
    }))
})
