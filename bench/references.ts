/**
 * What a reference clip of 25 s costs before its voice can speak: from memory, from disk, and from the object store (a
 * folder, and the tests' S3 server on loopback) as a normal clip and as a 48 kHz recording; the last also without the
 * store. Median and worst, ms; and the longest that the event loop was held meanwhile.
 */
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3"
import { Effect, Layer, Redacted } from "effect"
import { createHash } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { ClipNormaliser } from "../src/services/ClipNormaliser.ts"
import { ObjectStore } from "../src/services/ObjectStore.ts"
import * as Filesystem from "../src/services/ObjectStore/Filesystem.ts"
import * as S3 from "../src/services/ObjectStore/S3.ts"
import { ReferenceCache } from "../src/services/ReferenceCache.ts"
import { credentials, startS3 } from "../test/servers/S3.ts"
import { wavOf } from "../test/services/ClipNormaliser/wav.ts"

const seconds = 25
const clips = 20
const memoryRounds = 1000

const recordings = (sampleRate: number) =>
  Array.from({ length: clips }, (_, clip) => {
    const signal = Float64Array.from({ length: sampleRate * seconds }, (_, n) => 0.5 * Math.sin(n * (clip + 1) * 1e-3))
    const file = wavOf({ coding: "s16", sampleRate, channels: [signal] })
    const sha256 = createHash("sha256").update(file).digest("hex")
    return { file, reference: { sha256, durationMs: seconds * 1000, objectKey: `clips/${sha256}`, transcript: null } }
  })
type Recording = ReturnType<typeof recordings>[number]

const measure = Effect.fnUntraced(function*<A, E, R>(what: string, runs: ReadonlyArray<Effect.Effect<A, E, R>>) {
  const monitor = monitorEventLoopDelay({ resolution: 1 })
  const millis: Array<number> = []
  monitor.enable()
  for (const run of runs) {
    const began = performance.now()
    yield* run
    millis.push(performance.now() - began)
  }
  // The loop's last delay is seen by its next turn.
  yield* Effect.sleep("10 millis")
  monitor.disable()
  millis.sort((a, b) => a - b)
  const figures = [millis[millis.length >> 1]!, millis.at(-1)!, monitor.max / 1e6]
  console.log([what.padEnd(44), ...figures.map((it) => it.toFixed(3).padStart(9))].join(" "))
})

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "scaispeak-bench-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

const program = Effect.fnUntraced(
  function*(name: string, normal: ReadonlyArray<Recording>, raw: ReadonlyArray<Recording>) {
    const objects = yield* ObjectStore
    for (const { file, reference } of [...normal, ...raw]) {
      yield* objects.put(reference.objectKey, file, { contentType: "audio/wav" })
    }
    const cache = Layer.effectDiscard(Effect.gen(function*() {
      const { get } = yield* ReferenceCache
      yield* measure(`${name}, 16 kHz mono 16-bit`, normal.map(({ reference }) => get(reference)))
      yield* measure(`${name}, 48 kHz`, raw.map(({ reference }) => get(reference)))
      const { reference } = normal[0]!
      yield* measure("memory", Array.from({ length: memoryRounds }, () => get(reference)))
    }))
    const again = Layer.effectDiscard(Effect.gen(function*() {
      const { get } = yield* ReferenceCache
      yield* measure("disk", normal.map(({ reference }) => get(reference)))
    }))
    const bounds = { folder: yield* folder, memoryBytes: 2 ** 28, diskBytes: 2 ** 30 }
    for (const part of [cache, again]) {
      yield* Effect.scoped(Layer.build(part.pipe(Layer.provide(ReferenceCache.layer(bounds)))))
    }
  }
)

const bench = Effect.gen(function*() {
  const [normal, raw] = [recordings(16_000), recordings(48_000)]
  console.log(["of 25 s".padEnd(44), ...["median", "worst", "loop held"].map((it) => it.padStart(9))].join(" "))
  const { normalise } = yield* ClipNormaliser
  // The thread starts with the first.
  yield* normalise(raw[0]!.file)
  yield* measure("normalising 48 kHz in its thread", raw.map(({ file }) => normalise(file)))
  const Folder = Layer.unwrap(Effect.map(folder, (path) => Filesystem.layer({ folder: path })))
  yield* program("store in a folder", normal, raw).pipe(Effect.provide(Folder))

  const server = yield* Effect.acquireRelease(Effect.promise(startS3), (it) => Effect.promise(() => it.stop()))
  const options = { ...credentials, endpoint: server.endpoint, bucket: "bench" }
  yield* Effect.promise(async () => {
    const client = new S3Client({
      endpoint: options.endpoint,
      region: options.region,
      forcePathStyle: true,
      credentials
    })
    await client.send(new CreateBucketCommand({ Bucket: options.bucket }))
    client.destroy()
  })
  const secrets = {
    accessKeyId: Redacted.make(options.accessKeyId),
    secretAccessKey: Redacted.make(options.secretAccessKey)
  }
  yield* program("store on S3", normal, raw).pipe(Effect.provide(S3.layer({ ...options, ...secrets })))
})

await Effect.runPromise(Effect.scoped(bench).pipe(Effect.provide(ClipNormaliser.layer)))
